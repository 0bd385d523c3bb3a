-- Ends holds, unless work came meanwhile.
-- KEYS: due, held. ARGV: milliseconds of a hold, then in pairs: milliseconds until the webhook's next delivery is due
-- ('' : nothing waits), webhook id.
-- Returns the webhooks that have work now: these stay held, their drain goes on.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[1])
local go_on = {}
for i = 2, #ARGV, 2 do
    local wait, webhook = ARGV[i], ARGV[i + 1]
    local held = redis.call('ZSCORE', KEYS[2], webhook)
    local due = redis.call('ZSCORE', KEYS[1], webhook)
    local marked = due and (not held or tonumber(due) < tonumber(held)) and tonumber(due) <= now
    if marked or (wait ~= '' and tonumber(wait) <= 0) then
        redis.call('ZADD', KEYS[2], till, webhook)
        redis.call('ZADD', KEYS[1], till, webhook)
        go_on[#go_on + 1] = webhook
    else
        redis.call('ZREM', KEYS[2], webhook)
        local earlier = due and held and tonumber(due) < tonumber(held)  -- made due for later, by a retry of another
        if not earlier then
            redis.call('ZREM', KEYS[1], webhook)  -- what stood there was the end of the hold
        end
        if wait ~= '' then
            redis.call('ZADD', KEYS[1], 'LT', now + tonumber(wait), webhook)
        end
    end
end
return go_on
