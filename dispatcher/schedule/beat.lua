-- A process says that it lives, and hears which have said nothing for a while.
-- KEYS: owners. ARGV: its number, milliseconds of silence, milliseconds after which a silent one is forgotten.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
