-- Counts people, in order, in all counters; stops at the first person for whom one of them has no room.
-- ARGV[3]  this grant's sequence
-- ARGV[4]  number of counters; then for each: slice, horizon, limit (-1: count only), how many are remembered if nothing limits them
-- ARGV[...] keyed hashes, distinct
-- Answer: {GRANTED, time, number admitted, counter without room (-1: none), used and next_free of each counter..., counters in which each was new (bits)...}

local bad = unfit()
if bad then return bad end

local at = 4
local function argument()
  at = at + 1
  return tonumber(ARGV[at])
end

local counters = {}
for c = 1, tonumber(ARGV[4]) do
  local counter = read_counter(KEYS[2 + c], argument(), argument())
  counter.limit, counter.keep = argument(), argument()
  redis.call('ZREMRANGEBYSCORE', counter.set, '-inf', text(now - counter.horizon))
  counters[c] = counter
end

-- Who was counted before is free. Above a limit that was lowered only the newest are, as many as it allows: they stay the same ones.
local function fits(counter, person, score)
  if counter.limit < 0 then return true end
  local room = counter.limit - counter.total
  if not score then return counter.people < room end
  return counter.people <= room or redis.call('ZREVRANK', counter.set, person) < room
end

local admitted, refused, fresh = 0, -1, {}
for i = at + 1, #ARGV do
  local person, scores = ARGV[i], {}
  for c = 1, #counters do
    scores[c] = redis.call('ZSCORE', counters[c].set, person)
    if refused < 0 and not fits(counters[c], person, scores[c]) then refused = c - 1 end
  end
  if refused >= 0 then break end
  local bits = 0
  for c = 1, #counters do
    local counter = counters[c]
    if scores[c] then
      redis.call('ZADD', counter.set, text(math.max(now, math.floor(tonumber(scores[c])))) .. '.5', person)
    else
      redis.call('ZADD', counter.set, text(now), person)
      counter.people, bits = counter.people + 1, bits + 2 ^ (c - 1)
      if counter.limit < 0 and counter.people > counter.keep then
        redis.call('ZPOPMIN', counter.set)
        counter.people = counter.people - 1
      end
    end
  end
  admitted = admitted + 1
  fresh[admitted] = bits
end

if admitted > 0 then
  for c = 1, #counters do redis.call('PEXPIREAT', counters[c].set, text(now + counters[c].horizon + 1000)) end
end
redis.call('HSET', KEYS[1], 'now', text(now))
set_mark(math.max(mark_sequence, tonumber(ARGV[3])))

local answer = { GRANTED, now, admitted, refused }
for c = 1, #counters do
  answer[#answer + 1] = used(counters[c])
  answer[#answer + 1] = next_free(counters[c])
end
for i = 1, admitted do answer[#answer + 1] = fresh[i] end
return answer
