-- Puts people back whom Redis lost and this process remembers. Sent before the last batch of a refill.
-- KEYS[3]  a counter of people; ARGV[3], ARGV[4]: slice and horizon; ARGV[5...]: for each, time of the last grant and keyed hash
-- Answer: {GRANTED}

local set = KEYS[3] .. ':set'
local horizon = tonumber(ARGV[4])
for i = 5, #ARGV, 2 do
  -- .5: nothing that was granted before may be taken back any more.
  if tonumber(ARGV[i]) > now - horizon then redis.call('ZADD', set, 'GT', ARGV[i] .. '.5', ARGV[i + 1]) end
end
redis.call('PEXPIREAT', set, text(now + horizon + 1000))
return { GRANTED }
