-- Ends a drain's holds, unless work came meanwhile, and stores what the drain learnt of the receivers. Of a webhook that
-- another drain holds by now, it only tells when there is work.
-- KEYS: due, held, paused, holders. ARGV: milliseconds of a hold, the drain's token, whether it goes on with what has
-- work now ('1') or passes it on, prefix of the health keys, seconds that a health is kept; then in fours: milliseconds
-- until the webhook's next delivery is due ('' : nothing waits), milliseconds for which it is paused (0: not),
-- its health ('' : as it was), webhook id.
-- Returns the webhooks that have work now: these stay held, by this drain if it goes on with them.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[1])
local go_on = {}
for i = 6, #ARGV, 4 do
    local wait, pause, health, webhook = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
    local held = tonumber(redis.call('ZSCORE', KEYS[2], webhook))
    local due = tonumber(redis.call('ZSCORE', KEYS[1], webhook))
    local holder = redis.call('HGET', KEYS[4], webhook)
    local marked = due and (not held or due < held) and due <= now
    if holder and holder ~= ARGV[2] and held and held > now then
        if wait then
            redis.call('ZADD', KEYS[1], 'LT', now + math.max(0, wait), webhook)
        end
    else
        if health ~= '' then
            redis.call('SET', ARGV[4] .. webhook, health, 'EX', ARGV[5])
        end
        if pause <= 0 and (marked or (wait and wait <= 0)) then
            redis.call('ZADD', KEYS[2], till, webhook)
            redis.call('ZADD', KEYS[1], till, webhook)
            if ARGV[3] == '1' then
                redis.call('HSET', KEYS[4], webhook, ARGV[2])
            else
                redis.call('HDEL', KEYS[4], webhook)
            end
            go_on[#go_on + 1] = webhook
        else
            redis.call('ZREM', KEYS[2], webhook)
            redis.call('HDEL', KEYS[4], webhook)
            local at = wait and now + wait
            if due and held and due < held then  -- made due meanwhile, by a retry of another; else it is the hold's end
                at = math.min(at or due, due)
            end
            if pause > 0 then
                redis.call('ZADD', KEYS[3], now + pause, webhook)
                at = at and math.max(at, now + pause)
            end
            if at then
                redis.call('ZADD', KEYS[1], at, webhook)
            else
                redis.call('ZREM', KEYS[1], webhook)
            end
        end
    end
end
return go_on
