-- Makes webhooks due: each at most once in the schedule, at the earliest time asked for, but not while it is paused.
-- KEYS: due, paused. ARGV: milliseconds to wait, webhook id, and so on in pairs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local any_paused = redis.call('ZCARD', KEYS[2]) > 0
for i = 1, #ARGV, 2 do
    local at = now + tonumber(ARGV[i])
    local paused = any_paused and redis.call('ZSCORE', KEYS[2], ARGV[i + 1])
    redis.call('ZADD', KEYS[1], 'LT', paused and math.max(at, tonumber(paused)) or at, ARGV[i + 1])
end
return #ARGV / 2
