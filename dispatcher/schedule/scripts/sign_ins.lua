-- Counts an attempt to sign in, limit by limit, as far as none is exceeded: what one refuses, the later ones do not see.
-- KEYS: the count of each limit. ARGV: window in milliseconds, then the most of each.
-- Returns the place of the limit that is exceeded (0: none) and the milliseconds until its window ends.
for place, key in ipairs(KEYS) do
    local count = redis.call('INCR', key)
    local left = redis.call('PTTL', key)
    if left < 0 then -- the first of a window, or an expiry that was lost
        redis.call('PEXPIRE', key, ARGV[1])
        left = tonumber(ARGV[1])
    end
    if count > tonumber(ARGV[place + 1]) then
        return {place, left}
    end
end
return {0, 0}
