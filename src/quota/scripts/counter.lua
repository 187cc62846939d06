-- Shared by every script here: redis-scripts.ts puts this text in front of each of them.
--
-- KEYS[1]  clock  hash: now (the high-water mark of the store's time), gen and run (see unfit), ready (no grant before this time),
--          opened (when this generation began), informed (its members are known), layout (see below)
-- KEYS[2]  mark   string "sequence:time:generation": the last grant to this process that Redis knows of, and the generation that the process has joined
-- KEYS[3+] counters, each a hash: t (total), o and n (oldest and newest filled slice), w (number of the process that
--          was granted last), g (when), b (when the last other one was before it), and the units of slice i under its index.
--          72 slices at most, so Redis keeps it in one compact listpack.
--          A counter of people (its name has "}:subjects:") has a sorted set beside it, "<key>:set": keyed hashes of 16 bytes by the time of their last grant.
--          The time ends in .5 if there was more than one. It hashes to the same slot, since all names of a class have the same tag.
-- ARGV[1]  sequence of the last grant that this process was told of (0: none)
-- ARGV[2]  latest store time that this process was told of
--
-- Numbers are whole and at most 2^52. They are written with '%.0f', for Lua's own conversion keeps 14 digits only.

local GRANTED, REFUSED, LOST, SETTLING, OTHER_LAYOUT = 0, 1, 2, 3, 4
-- Raised with every change after which scripts of before and scripts of now would not count the same. A store without the number has the first.
-- 2: people are hashed in another way, and their hashes are bytes.
local LAYOUT = 2
-- Renewed once a second while its process lives. A mark that is gone makes the process bring all that it knows: over, never under.
local MARK_TTL_MS = 2764800000

local function text(number)
  return string.format('%.0f', number)
end

local wall
do
  local time = redis.call('TIME')
  wall = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local clock = redis.call('HMGET', KEYS[1], 'now', 'ready', 'gen', 'run', 'layout')
local now = math.max(wall, tonumber(clock[1] or 0), tonumber(ARGV[2]))
local generation = tonumber(clock[3] or 0)

local mark_sequence, mark_time, mark_generation = 0, 0, -1
do
  local mark = redis.call('GET', KEYS[2])
  if mark then
    local sequence, time, joined = string.match(mark, '^(%d+):(%d+):(%d+)$')
    mark_sequence, mark_time, mark_generation = tonumber(sequence or 0), tonumber(time or 0), tonumber(joined or -1)
  end
end

local me = string.match(KEYS[2], '(%d+)$') or ''

local function set_mark(sequence)
  redis.call('SET', KEYS[2], text(sequence) .. ':' .. text(now) .. ':' .. text(generation), 'PX', MARK_TTL_MS)
end

-- Every start of a server has a run_id of its own: a restart, a restored snapshot and a promoted replica are all told by it.
local function same_server()
  return clock[4] and string.find(redis.call('INFO', 'server'), 'run_id:' .. clock[4], 1, true) ~= nil
end

local function goes_back()
  return mark_sequence < tonumber(ARGV[1]) or tonumber(clock[1]) < tonumber(ARGV[2])
end

-- Whoever came first has the store; two layouts beside each other would each count a part.
local function other_layout()
  local layout = clock[1] and tonumber(clock[5] or 1)
  if layout and layout ~= LAYOUT then return { OTHER_LAYOUT, layout, LAYOUT } end
  return nil
end

-- Nothing may be counted from a store that has forgotten: emptied, restored from an older snapshot, or a replica that was promoted too early.
-- Whoever finds that out opens a new generation (join.lua). In it nobody is granted anything who has not joined, and nobody at all before
-- all processes had the time to: what one of them was granted may be what is missing.
local function unfit()
  local other = other_layout()
  if other then return other end
  if not clock[1] or mark_generation ~= generation or goes_back() or not same_server() then return { LOST, mark_sequence, mark_time } end
  if tonumber(clock[2] or 0) > now then return { SETTLING, tonumber(clock[2]) - now } end
  return nil
end

local function first_live(counter)
  return math.floor((now - counter.horizon) / counter.slice)
end

-- First filled slice from `from` on, in one read.
local function next_filled(counter, from)
  local names = {}
  for slice = from, counter.newest do names[#names + 1] = text(slice) end
  local units = redis.call('HMGET', counter.key, unpack(names))
  for i = 1, #names do
    if units[i] then return from + i - 1 end
  end
  return counter.newest
end

-- Reads a counter and leaves out what has expired, without writing: `dead` names the fields that a later store() deletes.
local function read_counter(key, slice, horizon)
  local head = redis.call('HMGET', key, 't', 'o', 'n', 'w', 'g', 'b')
  local counter = { key = key, slice = slice, horizon = horizon, total = tonumber(head[1] or 0), oldest = tonumber(head[2] or 0), newest = tonumber(head[3] or 0), people = 0 }
  -- When a process other than the one that asks was last granted something.
  if head[4] == me then counter.by_others = head[6] else counter.by_others = head[5] end
  if string.find(key, '}:subjects:', 1, true) then
    counter.set = key .. ':set'
    counter.people = redis.call('ZCOUNT', counter.set, '(' .. text(now - horizon), '+inf')
  end
  local first = first_live(counter)
  if counter.total == 0 or counter.oldest >= first then return counter end
  if counter.newest < first then
    counter.total, counter.void = 0, true
    return counter
  end
  local names, dead = {}, {}
  for i = counter.oldest, first - 1 do names[#names + 1] = text(i) end
  local units = redis.call('HMGET', key, unpack(names))
  for i = 1, #names do
    if units[i] then
      counter.total = counter.total - tonumber(units[i])
      dead[#dead + 1] = names[i]
    end
  end
  counter.dead, counter.oldest = dead, next_filled(counter, first)
  return counter
end

-- Expires a little after the newest slice stops counting. `now` is never behind Redis's own clock, so this is never too early.
local function keep(counter)
  redis.call('PEXPIREAT', counter.key, text((counter.newest + 1) * counter.slice + counter.horizon + 1000))
end

local function drop_dead(counter)
  if counter.void then
    redis.call('DEL', counter.key)
  elseif counter.dead then
    redis.call('HDEL', counter.key, unpack(counter.dead))
  end
end

local function add(counter, units)
  if units == 0 then return end
  drop_dead(counter)
  local slice = math.floor(now / counter.slice)
  if counter.total == 0 then counter.oldest = slice end
  local fresh = counter.total == 0 or counter.newest ~= slice
  counter.total, counter.newest = counter.total + units, slice
  redis.call('HINCRBY', counter.key, text(slice), text(units))
  redis.call('HSET', counter.key, 't', text(counter.total), 'o', text(counter.oldest), 'n', text(slice), 'w', me, 'g', text(now))
  if counter.by_others then redis.call('HSET', counter.key, 'b', counter.by_others) end
  if fresh then keep(counter) end
end

-- Units that count, those of people included.
local function used(counter)
  return counter.total + counter.people
end

-- Milliseconds until the oldest units stop counting, -1 for none.
local function next_free(counter)
  local free = counter.total > 0 and (counter.oldest + 1) * counter.slice + counter.horizon - wall
  if counter.people > 0 then
    local first = redis.call('ZRANGEBYSCORE', counter.set, '(' .. text(now - counter.horizon), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    local at = first[2] and math.ceil(tonumber(first[2])) + counter.horizon - wall
    if at and (not free or at < free) then free = at end
  end
  return free or -1
end
