-- Whether the caller shall compare the clock with the rows: not if somebody has begun to within the last while, on this
-- very Redis. One that has started anew since may have forgotten what it knew; one that was emptied forgot the key too.
-- KEYS: reconcile. ARGV: milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local info, last = redis.pcall('INFO', 'server'), redis.pcall('GET', KEYS[1])  -- an error is a table
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local of, at = string.match(type(last) == 'string' and last or '', '^(%w+) (%d+)$')
if of == run and tonumber(at) <= now and now - tonumber(at) < tonumber(ARGV[1]) then
    return 0
end
redis.call('SET', KEYS[1], run .. ' ' .. string.format('%.0f', now))
return 1
