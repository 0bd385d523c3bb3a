-- Counts a request in the running window, which begins with its first.
-- KEYS: the count. ARGV: window in milliseconds. Returns the count and the milliseconds until the window ends.
local count = redis.call('INCR', KEYS[1])
if count == 1 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then -- an expiry that was lost would lock the client out for ever
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {count, left}
