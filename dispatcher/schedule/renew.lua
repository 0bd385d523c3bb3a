-- Prolongs the holds of a drain that lives.
-- KEYS: due, held. ARGV: milliseconds of a hold, webhook ids.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[1])
for i = 2, #ARGV do
    local was = redis.call('ZSCORE', KEYS[2], ARGV[i])
    local due = redis.call('ZSCORE', KEYS[1], ARGV[i])
    redis.call('ZADD', KEYS[2], till, ARGV[i])
    -- A mark that work came meanwhile is earlier than the hold's end, and stays.
    if not due or (was and tonumber(due) >= tonumber(was)) then
        redis.call('ZADD', KEYS[1], till, ARGV[i])
    end
end
return #ARGV - 1
