-- Takes people back who were new in one grant, unless they were admitted again since (then their time is another).
-- ARGV[3]  time of the grant; ARGV[4...]: for each, the number of the counter (from 1) and the keyed hash
-- Answer: {GRANTED}

local bad = unfit()
if bad then return bad end

local granted_at = tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  local set = KEYS[2 + tonumber(ARGV[i])] .. ':set'
  local score = redis.call('ZSCORE', set, ARGV[i + 1])
  if score and tonumber(score) == granted_at then redis.call('ZREM', set, ARGV[i + 1]) end
end
return { GRANTED }
