-- Counts requests in their clients' running windows; a window begins with its first request.
-- KEYS: the count of each request's client, once for each request. ARGV: window in milliseconds.
-- Returns for each request the count with it and the milliseconds until the window ends.
local counted = {}
for _, key in ipairs(KEYS) do
    local count = redis.call('INCR', key)
    if count == 1 then
        redis.call('PEXPIRE', key, ARGV[1])
    end
    local left = redis.call('PTTL', key)
    if left < 0 then -- an expiry that was lost would lock the client out for ever
        redis.call('PEXPIRE', key, ARGV[1])
        left = tonumber(ARGV[1])
    end
    counted[#counted + 1] = count
    counted[#counted + 1] = left
end
return counted
