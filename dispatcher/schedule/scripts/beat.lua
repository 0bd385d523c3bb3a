-- A process says that it lives, hears which have been silent for a while, and whether it shall compare the schedule with
-- the rows: unless another has begun to within the last while, on this very Redis. One that was restarted since may
-- have forgotten what it knew, and messages were lost with it; one that was emptied forgot the mark too.
-- KEYS: owners, reconcile. ARGV: its number, milliseconds of silence, milliseconds since the schedule was compared.
-- Returns 0 if it shall not, 1 if the while is over, 2 if Redis was restarted; then the numbers of the silent.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
local answer = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
local info, last = redis.pcall('INFO', 'server'), redis.pcall('GET', KEYS[2])  -- an error is a table
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local of, at = string.match(type(last) == 'string' and last or '', '^(%w+) (%d+)$')
local shall = of ~= run and 2 or (now < tonumber(at) or now - tonumber(at) >= tonumber(ARGV[3])) and 1 or 0
if shall > 0 then
    redis.call('SET', KEYS[2], run .. ' ' .. string.format('%.0f', now))
end
table.insert(answer, 1, shall)
return answer
