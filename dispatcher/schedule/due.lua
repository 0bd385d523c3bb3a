-- Makes webhooks due: each at most once in the clock, at the earliest time asked for.
-- KEYS: due. ARGV: milliseconds to wait, webhook id, and so on in pairs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV, 2 do
    redis.call('ZADD', KEYS[1], 'LT', now + tonumber(ARGV[i]), ARGV[i + 1])
end
return #ARGV / 2
