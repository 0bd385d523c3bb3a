-- An attempt to sign in was right.
-- KEYS: a count that is forgotten, then those of which only this attempt is taken back.
redis.call('DEL', KEYS[1])
for place = 2, #KEYS do
    if redis.call('EXISTS', KEYS[place]) == 1 then -- else its window is over, and there is nothing to take back
        redis.call('DECR', KEYS[place])
    end
end
return 0
