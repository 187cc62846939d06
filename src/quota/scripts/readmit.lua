-- Puts people back whom Redis lost and this process remembers. Sent before the last batch of a refill.
-- KEYS[3]  a counter of people; ARGV[3], ARGV[4]: slice and horizon; ARGV[5]: keyed hashes, 16 bytes each; ARGV[6...]: for each the time of the last grant
-- Answer: {GRANTED}

local set = KEYS[3] .. ':set'
local horizon = tonumber(ARGV[4])
for i = 6, #ARGV do
  local from = 16 * (i - 6) + 1
  -- .5: nothing that was granted before may be taken back any more.
  if tonumber(ARGV[i]) > now - horizon then redis.call('ZADD', set, 'GT', ARGV[i] .. '.5', string.sub(ARGV[5], from, from + 15)) end
end
redis.call('PEXPIREAT', set, text(now + horizon + 1000))
return { GRANTED }
