-- Counts people, in order, in all counters; stops at the first person for whom one of them has no room.
-- ARGV[3]  this grant's sequence
-- ARGV[4]  number of counters; then for each: slice, horizon, limit (-1: count only), how many are remembered if nothing limits them
-- ARGV[...] the last: keyed hashes, distinct, with a space between two
-- Answer: {GRANTED, time, number admitted, counter without room (-1: none), used and next_free of each counter...,
--          runs of those admitted: how many, and the counters in which each of them was new (bits)...}

local bad = unfit()
if bad then return bad end

local at = 4
local function argument()
  at = at + 1
  return tonumber(ARGV[at])
end

local people = {}
for person in string.gmatch(ARGV[#ARGV], '%S+') do people[#people + 1] = person end

local stamp = text(now)
local counters = {}
for c = 1, tonumber(ARGV[4]) do
  local counter = read_counter(KEYS[2 + c], argument(), argument())
  counter.limit, counter.keep = argument(), argument()
  redis.call('ZREMRANGEBYSCORE', counter.set, '-inf', text(now - counter.horizon))
  counter.scores, counter.due = redis.call('ZMSCORE', counter.set, unpack(people)), {}
  counters[c] = counter
end

local function write(counter)
  if #counter.due == 0 then return end
  redis.call('ZADD', counter.set, unpack(counter.due))
  counter.due = {}
end

-- Who was counted before is free. Above a limit that was lowered only the newest are, as many as it allows: they stay the same ones.
local function fits(counter, person, score)
  if counter.limit < 0 then return true end
  local room = counter.limit - counter.total
  if not score then return counter.people < room end
  if counter.people <= room then return true end
  write(counter)
  return redis.call('ZREVRANK', counter.set, person) < room
end

local admitted, refused, runs = 0, -1, {}
for i, person in ipairs(people) do
  for c, counter in ipairs(counters) do
    if refused < 0 and not fits(counter, person, counter.scores[i]) then refused = c - 1 end
  end
  if refused >= 0 then break end
  local bits = 0
  for c, counter in ipairs(counters) do
    local score, due = counter.scores[i], counter.due
    if score then
      due[#due + 1] = text(math.max(now, math.floor(tonumber(score)))) .. '.5'
    else
      due[#due + 1] = stamp
      counter.people, bits = counter.people + 1, bits + 2 ^ (c - 1)
    end
    due[#due + 1] = person
  end
  admitted = admitted + 1
  if runs[#runs] == bits then
    runs[#runs - 1] = runs[#runs - 1] + 1
  else
    runs[#runs + 1] = 1
    runs[#runs + 1] = bits
  end
end

for _, counter in ipairs(counters) do
  write(counter)
  if counter.limit < 0 and counter.people > counter.keep then
    redis.call('ZPOPMIN', counter.set, counter.people - counter.keep)
    counter.people = counter.keep
  end
  if admitted > 0 then redis.call('PEXPIREAT', counter.set, text(now + counter.horizon + 1000)) end
end
redis.call('HSET', KEYS[1], 'now', stamp)
set_mark(math.max(mark_sequence, tonumber(ARGV[3])))

local answer = { GRANTED, now, admitted, refused }
for _, counter in ipairs(counters) do
  answer[#answer + 1] = used(counter)
  answer[#answer + 1] = next_free(counter)
end
for _, run in ipairs(runs) do answer[#answer + 1] = run end
return answer
