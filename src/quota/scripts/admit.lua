-- Counts people, in order, in all counters; stops at the first person for whom one of them has no room.
-- ARGV[3]  this grant's sequence
-- ARGV[4]  number of counters; then for each: slice, horizon, limit (-1: count only), how many are remembered if nothing limits them
-- ARGV[...] the last: keyed hashes, distinct, 16 bytes each
-- Answer: {GRANTED, time, number admitted, counter without room (-1: none), used and next_free of each counter...,
--          runs of those admitted: how many, and the counters in which each of them was new (bits)...}

local bad = unfit()
if bad then return bad end

local at = 4
local function argument()
  at = at + 1
  return tonumber(ARGV[at])
end

local packed = ARGV[#ARGV]
local people, count = {}, 0
for from = 1, #packed, 16 do
  count = count + 1
  people[count] = string.sub(packed, from, from + 15)
end

local stamp = text(now)
local counters, roomy = {}, true
for c = 1, tonumber(ARGV[4]) do
  local counter = read_counter(KEYS[2 + c], argument(), argument())
  counter.limit, counter.keep = argument(), argument()
  redis.call('ZREMRANGEBYSCORE', counter.set, '-inf', text(now - counter.horizon))
  if counter.limit >= 0 and counter.total + counter.people + count > counter.limit then roomy = false end
  counters[c] = counter
end

-- The time of whoever is granted again.
local stamp_again = stamp .. '.5'
local function again(score)
  local last = math.floor(tonumber(score))
  if last > now then return text(last) .. '.5' end
  return stamp_again
end

local admitted, refused, runs = 0, -1, {}
local function admit(bits)
  admitted = admitted + 1
  if runs[#runs] == bits then
    runs[#runs - 1] = runs[#runs - 1] + 1
  else
    runs[#runs + 1] = 1
    runs[#runs + 1] = bits
  end
end

-- There is room for all, and nobody was granted anything in this millisecond: whoever has its time afterwards is new. Most are, and cost one command.
local function admit_all()
  local due, bits = {}, {}
  for i = 1, count do
    due[2 * i - 1], due[2 * i], bits[i] = stamp, people[i], 0
  end
  for c, counter in ipairs(counters) do
    local bit, added = 2 ^ (c - 1), redis.call('ZADD', counter.set, 'NX', unpack(due))
    counter.people = counter.people + added
    if added == count then
      for i = 1, count do bits[i] = bits[i] + bit end
    elseif added == 0 then
      local known = {}
      for i = 1, count do known[2 * i - 1], known[2 * i] = stamp_again, people[i] end
      -- Never back: what another process put there may be of a time that is not here yet.
      redis.call('ZADD', counter.set, 'XX', 'GT', unpack(known))
    else
      local scores, known = redis.call('ZMSCORE', counter.set, unpack(people)), {}
      for i = 1, count do
        if tonumber(scores[i]) == now then
          bits[i] = bits[i] + bit
        else
          known[#known + 1] = stamp_again
          known[#known + 1] = people[i]
        end
      end
      redis.call('ZADD', counter.set, 'XX', 'GT', unpack(known))
    end
  end
  for i = 1, count do admit(bits[i]) end
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

local function admit_in_turn()
  for _, counter in ipairs(counters) do
    counter.scores, counter.due = redis.call('ZMSCORE', counter.set, unpack(people)), {}
  end
  for i, person in ipairs(people) do
    for c, counter in ipairs(counters) do
      if refused < 0 and not fits(counter, person, counter.scores[i]) then refused = c - 1 end
    end
    if refused >= 0 then break end
    local bits = 0
    for c, counter in ipairs(counters) do
      local score, due = counter.scores[i], counter.due
      if score then
        due[#due + 1] = again(score)
      else
        due[#due + 1] = stamp
        counter.people, bits = counter.people + 1, bits + 2 ^ (c - 1)
      end
      due[#due + 1] = person
    end
    admit(bits)
  end
  for _, counter in ipairs(counters) do write(counter) end
end

if roomy and tonumber(clock[1]) < now then admit_all() else admit_in_turn() end

for _, counter in ipairs(counters) do
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
