-- Adds requests to their clients' running windows; a window begins with its first request.
-- KEYS: the counts. ARGV: window in milliseconds, then how many to add to each count.
-- Returns for each the sum and the milliseconds until the window ends.
local counted = {}
for n, key in ipairs(KEYS) do
    local count = redis.call('INCRBY', key, ARGV[n + 1])
    local left = redis.call('PTTL', key)
    if left < 0 then -- it is new, or has lost its expiry, which would lock the client out for ever
        redis.call('PEXPIRE', key, ARGV[1])
        left = tonumber(ARGV[1])
    end
    counted[#counted + 1] = count
    counted[#counted + 1] = left
end
return counted
