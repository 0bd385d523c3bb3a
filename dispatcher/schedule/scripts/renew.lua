-- A drain that lives holds its webhooks, for longer and by its token; but not those that another drain holds, which is
-- notified of the work.
-- KEYS: due, held, holders. ARGV: milliseconds of a hold, the drain's token, webhook ids.
-- Returns the webhooks that another drain holds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[1])
local foreign = {}
for i = 3, #ARGV do
    local was = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[i]))
    local holder = redis.call('HGET', KEYS[3], ARGV[i])
    if holder and holder ~= ARGV[2] and was and was > now then
        redis.call('ZADD', KEYS[1], 'LT', now, ARGV[i])
        foreign[#foreign + 1] = ARGV[i]
    else
        local due = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]))
        redis.call('ZADD', KEYS[2], till, ARGV[i])
        redis.call('HSET', KEYS[3], ARGV[i], ARGV[2])
        -- A mark that work came meanwhile is earlier than the hold's end, and stays.
        if not due or (was and due >= was) then
            redis.call('ZADD', KEYS[1], till, ARGV[i])
        end
    end
end
return foreign
