-- Reserves all groups or none.
-- ARGV[3]  this grant's sequence
-- ARGV[4]  number of groups; then for each: want, min, number of counters; then for each of its counters: slice, horizon, limit (-1: count only)
-- Answer: {GRANTED, time, amount of each group..., used and next_free of each counter...}
--         {REFUSED, group, counter, used and next_free of each counter..., ms since another process was granted units of the counter that refused (-1: none was)}, {LOST, sequence and time of the last known grant} or {SETTLING, ms}

local bad = unfit()
if bad then return bad end

local MAX_UNITS = 4503599627370496
local at = 4
local function argument()
  at = at + 1
  return tonumber(ARGV[at])
end

local groups, counters, refused_group, refused_counter = {}, {}, nil, nil
for g = 1, tonumber(ARGV[4]) do
  local amount, min, size = argument(), argument(), argument()
  local group = { first = #counters + 1, size = size }
  for c = 1, size do
    local slice, horizon, limit = argument(), argument(), argument()
    local counter = read_counter(KEYS[2 + #counters + 1], slice, horizon)
    counters[#counters + 1] = counter
    if limit < 0 then limit = MAX_UNITS end
    local left = math.max(0, limit - used(counter))
    if left < min and not refused_group then refused_group, refused_counter = g - 1, c - 1 end
    amount = math.min(amount, left)
  end
  group.amount = amount
  groups[g] = group
end

local answer
if refused_group then
  answer = { REFUSED, refused_group, refused_counter }
else
  answer = { GRANTED, now }
  for g = 1, #groups do
    local group = groups[g]
    for c = group.first, group.first + group.size - 1 do add(counters[c], group.amount) end
    answer[#answer + 1] = group.amount
  end
  redis.call('HSET', KEYS[1], 'now', text(now))
  -- A request that a dead connection left behind may run after a later one: the mark never goes back.
  local sequence = math.max(mark_sequence, tonumber(ARGV[3]))
  set_mark(sequence)
end
for i = 1, #counters do
  answer[#answer + 1] = used(counters[i])
  answer[#answer + 1] = next_free(counters[i])
end
if refused_group then
  local last = counters[groups[refused_group + 1].first + refused_counter].by_others
  answer[#answer + 1] = last and now - tonumber(last) or -1
end
return answer
