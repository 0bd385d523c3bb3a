-- Takes webhooks that are due, not held and not paused, and holds them for the caller.
-- KEYS: due, held, paused, holders. ARGV: milliseconds of a hold, how many may be held in all, how many to take at most.
-- Returns the webhooks, then, as the last element, milliseconds until the first of the others is due (0: it is, but
-- held or beyond the room; -1: the schedule is empty). What is no webhook's id, by whomever it was written, is dropped.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[1])
for _, webhook in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
    redis.call('ZREM', KEYS[2], webhook)
    redis.call('HDEL', KEYS[4], webhook)
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local held = redis.call('ZCARD', KEYS[2])
local room = math.min(tonumber(ARGV[2]) - held, tonumber(ARGV[3]))
local any_paused = redis.call('ZCARD', KEYS[3]) > 0
local mine = {}
if room > 0 then
    -- Held ones that are due stay where they are: their drain finds the mark. They are as few as `held`.
    for _, webhook in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, room + held)) do
        if not (string.match(webhook, '^[1-9]%d*$') and tonumber(webhook) < 2147483648) then
            redis.call('ZREM', KEYS[1], webhook)
        elseif #mine < room and not redis.call('ZSCORE', KEYS[2], webhook) then
            local paused = any_paused and redis.call('ZSCORE', KEYS[3], webhook)
            if paused then
                redis.call('ZADD', KEYS[1], paused, webhook)  -- made due before its pause began
            else
                redis.call('ZADD', KEYS[2], till, webhook)
                redis.call('ZADD', KEYS[1], till, webhook)
                mine[#mine + 1] = webhook
            end
        end
    end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
mine[#mine + 1] = first[2] and tostring(math.max(0, first[2] - now)) or '-1'
return mine
