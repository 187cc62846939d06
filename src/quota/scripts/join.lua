-- Adds what Redis lost and this process remembers, and makes the store fit again for this process. Sent in batches.
-- KEYS[3]  members (see heartbeat.lua); KEYS[4...] counters
-- ARGV[3]  1: first batch; ARGV[4] 1: last batch
-- ARGV[5]  sequence for the mark
-- ARGV[6]  1: the counters are a debt (granted while Redis was away), counted at ARGV[5]; a mark that is as high says that they are counted
-- ARGV[7]  ms to wait for the others at least; ARGV[8] ms to wait for those that are known to live, if they stay away
-- ARGV[9]  last generation that this process knows; ARGV[10] 1: it knows the members; ARGV[11] its id
-- ARGV[12] number of members that it knows, then their ids; then for each counter: slice, horizon, number of filled slices; then for each of these:
--          index (-1: now), units
-- Answer: {GRANTED, now, generation, ms until the first grant}, or for a debt {LOST, sequence and time of the last known grant}

do
  local other = other_layout()
  if other then return other end
end
if ARGV[6] == '1' then
  local bad = unfit()
  if bad and bad[1] == LOST then return bad end
end

local debt, me, at = ARGV[6] == '1', ARGV[11], 12
local ready, informed = tonumber(clock[2] or 0), redis.call('HGET', KEYS[1], 'informed') == '1'
local function argument()
  at = at + 1
  return tonumber(ARGV[at])
end
local members = {}
for i = 1, tonumber(ARGV[12]) do members[i] = text(argument()) end

local function expect_members()
  for i = 1, #members do redis.call('HSETNX', KEYS[3], members[i], text(now) .. ':0') end
end

-- Of a server that was away for an hour, those count who lived when it went.
local function forget_gone()
  local all, newest = redis.call('HGETALL', KEYS[3]), 0
  for i = 2, #all, 2 do newest = math.max(newest, tonumber(string.match(all[i], '^(%d+):'))) end
  for i = 2, #all, 2 do
    if tonumber(string.match(all[i], '^(%d+):')) < newest - 15000 then redis.call('HDEL', KEYS[3], all[i - 1]) end
  end
end

if ARGV[3] == '1' then
  if not clock[1] or not same_server() or (mark_generation == generation and goes_back()) then
    forget_gone()
    informed = ARGV[10] == '1' or redis.call('HLEN', KEYS[3]) > 0
    generation = math.max(generation, tonumber(ARGV[9])) + 1
    ready = now + tonumber(ARGV[informed and 8 or 7])
    local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    redis.call('HSET', KEYS[1], 'layout', text(LAYOUT), 'gen', text(generation), 'run', run, 'now', text(now), 'opened', text(now), 'ready', text(ready), 'informed', informed and '1' or '0')
    expect_members()
  elseif ready > now and ARGV[10] == '1' then
    -- Opened by somebody who knew nobody: this process does.
    if not informed then
      informed = true
      ready = math.max(ready, tonumber(redis.call('HGET', KEYS[1], 'opened') or 0) + tonumber(ARGV[8]))
      redis.call('HSET', KEYS[1], 'ready', text(ready), 'informed', '1')
    end
    expect_members()
  end
end

local counted = debt and mark_sequence >= tonumber(ARGV[5])
for i = 4, #KEYS do
  local slice, horizon, filled = argument(), argument(), argument()
  local counter = read_counter(KEYS[i], slice, horizon)
  drop_dead(counter)
  local first, last = first_live(counter), math.floor(now / slice)
  for _ = 1, filled do
    local index, units = argument(), argument()
    -- Never in the future: the index may be by another server's clock.
    if index < 0 or index > last then index = last end
    if index >= first and not counted then
      redis.call('HINCRBY', counter.key, text(index), text(units))
      if counter.total == 0 then
        counter.oldest, counter.newest = index, index
      else
        counter.oldest, counter.newest = math.min(counter.oldest, index), math.max(counter.newest, index)
      end
      counter.total = counter.total + units
    end
  end
  if counter.total > 0 then
    redis.call('HSET', counter.key, 't', text(counter.total), 'o', text(counter.oldest), 'n', text(counter.newest))
    keep(counter)
  end
end

if ARGV[4] == '1' then
  set_mark(math.max(mark_sequence, tonumber(ARGV[5])))
  redis.call('HSET', KEYS[1], 'now', text(now), 'layout', text(LAYOUT))
  redis.call('HSET', KEYS[3], me, text(now) .. ':' .. text(generation))
  if ready > now and informed then
    local all, complete = redis.call('HGETALL', KEYS[3]), true
    for i = 2, #all, 2 do
      if tonumber(string.match(all[i], ':(%d+)$')) ~= generation then complete = false end
    end
    -- Who came in a moment before may be unknown to everybody.
    if complete then
      ready = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'opened') or 0) + tonumber(ARGV[7]))
      redis.call('HSET', KEYS[1], 'ready', text(ready))
    end
  end
end
return { GRANTED, now, generation, math.max(0, ready - now) }
