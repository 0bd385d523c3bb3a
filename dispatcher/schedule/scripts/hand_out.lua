-- Webhooks have work now: the free ones are held for the caller at once; the held ones are marked due, which tells
-- the drain that holds them to go on; those paused are due when their pause ends.
-- KEYS: due, held, paused, holders. ARGV: milliseconds of a hold, how many may be held in all, webhook ids.
-- Returns the webhooks that are now the caller's. No drain has them yet: the first that begins with one holds it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[1])
for _, webhook in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
    redis.call('ZREM', KEYS[2], webhook)
    redis.call('HDEL', KEYS[4], webhook)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local room = tonumber(ARGV[2]) - redis.call('ZCARD', KEYS[2])
local any_paused = redis.call('ZCARD', KEYS[3]) > 0
local mine = {}
for i = 3, #ARGV do
    local held = redis.call('ZSCORE', KEYS[2], ARGV[i])
    local paused = not held and any_paused and redis.call('ZSCORE', KEYS[3], ARGV[i])
    if room > 0 and not held and not paused then
        redis.call('ZADD', KEYS[2], till, ARGV[i])
        redis.call('ZADD', KEYS[1], till, ARGV[i])  -- if the drain dies, the webhook is due again when its hold ends
        mine[#mine + 1] = ARGV[i]
        room = room - 1
    else
        redis.call('ZADD', KEYS[1], 'LT', paused or now, ARGV[i])
    end
end
return mine
