-- Takes people back who were new in one grant, unless they were admitted again since (then their time is another).
-- ARGV[3]  time of the grant; ARGV[4...]: pairs: the number of the counter (from 1) and keyed hashes, 16 bytes each
-- Answer: {GRANTED}

local bad = unfit()
if bad then return bad end

local granted_at = tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  local set, packed = KEYS[2 + tonumber(ARGV[i])] .. ':set', ARGV[i + 1]
  for from = 1, #packed, 16 do
    local person = string.sub(packed, from, from + 15)
    local score = redis.call('ZSCORE', set, person)
    if score and tonumber(score) == granted_at then redis.call('ZREM', set, person) end
  end
end
return { GRANTED }
