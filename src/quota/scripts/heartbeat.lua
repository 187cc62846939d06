-- Says that a process lives, and learns which others do. KEYS[3]: members, a hash: id -> "time last seen:generation joined". ARGV[3]: this process's id.
-- Answer: {GRANTED, now, generation, id of each member...}

local bad = unfit()
if bad then return bad end

-- As long as a generation may take to settle, and then some.
local PRESENT_MS = 15000

redis.call('HSET', KEYS[3], ARGV[3], text(now) .. ':' .. text(generation))
if redis.call('PEXPIRE', KEYS[2], MARK_TTL_MS) == 0 then set_mark(tonumber(ARGV[1])) end
local answer, gone = { GRANTED, tonumber(clock[1]), generation }, {}
local members = redis.call('HGETALL', KEYS[3])
for i = 1, #members, 2 do
  local seen = tonumber(string.match(members[i + 1], '^(%d+):'))
  if seen < now - PRESENT_MS then
    gone[#gone + 1] = members[i]
  else
    answer[#answer + 1] = tonumber(members[i])
  end
end
if #gone > 0 then redis.call('HDEL', KEYS[3], unpack(gone)) end
return answer
