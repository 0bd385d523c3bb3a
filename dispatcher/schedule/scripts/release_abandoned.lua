-- Ends holds that a drain has given up and could not release: their webhooks are due now.
-- KEYS: due, held, holders. ARGV: the drain's token, webhook id, and so on in pairs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV, 2 do
    if redis.call('HGET', KEYS[3], ARGV[i + 1]) == ARGV[i] then
        redis.call('ZREM', KEYS[2], ARGV[i + 1])
        redis.call('HDEL', KEYS[3], ARGV[i + 1])
        redis.call('ZADD', KEYS[1], 'LT', now, ARGV[i + 1])
    end
end
return #ARGV / 2
