-- Makes due what drains of dead processes held, and what no drain has begun with yet: its message may be lost with one of
-- the dead, and a message too many does no harm.
-- KEYS: due, held, holders, owners. ARGV: '1' if messages were lost though nobody died, numbers of the dead.
-- Returns how many webhooks that were; -1 where somebody else has buried them all.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local dead, any = {}, ARGV[1] == '1'
for i = 2, #ARGV do
    if redis.call('ZREM', KEYS[4], ARGV[i]) == 1 then
        dead[ARGV[i]], any = true, true
    end
end
if not any then
    return -1
end
local freed = 0
for _, webhook in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local holder = redis.call('HGET', KEYS[3], webhook)
    if not holder or dead[string.match(holder, '^%d*')] then
        redis.call('ZREM', KEYS[2], webhook)
        redis.call('HDEL', KEYS[3], webhook)
        redis.call('ZADD', KEYS[1], 'LT', now, webhook)
        freed = freed + 1
    end
end
return freed
