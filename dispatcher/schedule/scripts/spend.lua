-- Takes tokens out of the buckets of webhooks with a rate limit. A bucket fills by `rate` a second, holds a third of a
-- second's worth and one, and begins with one: so no second, and no ten, see more than the rate by more than a little.
-- KEYS: none. ARGV: prefix of the bucket keys, then in threes: rate, tokens wanted, webhook id.
-- Returns, for each webhook, how many it got, and what is left, as a text with fractions.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local answer = {}
for i = 2, #ARGV, 3 do
    local rate, wanted, key = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[1] .. ARGV[i + 2]
    local tokens = 1
    local bucket = redis.pcall('GET', key)  -- of another type, or no bucket's text: as if there were none
    local left, at = string.match(type(bucket) == 'string' and bucket or '', '^(-?[%d.]+) ([%d.]+)$')
    if tonumber(left) and tonumber(at) then
        tokens = math.min(1 + rate * 0.3, tonumber(left) + (now - tonumber(at)) * rate / 1000)
    end
    local got = math.max(0, math.min(wanted, math.floor(tokens)))
    redis.call('SET', key, string.format('%.4f %.3f', tokens - got, now), 'EX', 60)
    answer[#answer + 1] = got
    answer[#answer + 1] = string.format('%.4f', tokens - got)
end
return answer
