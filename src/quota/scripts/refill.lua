-- Adds what Redis lost and this process remembers. Sent in batches; the last one makes the store fit again for this process.
-- ARGV[3]  1: last batch; ARGV[4]: ms in which nobody is granted anything, so that other processes can bring theirs, if the store was empty
-- ARGV[5...]  for each counter: slice, horizon, number of filled slices; then for each of these: index, units
-- Answer: {GRANTED}

local at = 4
local function argument()
  at = at + 1
  return tonumber(ARGV[at])
end

for i = 3, #KEYS do
  local slice, horizon, filled = argument(), argument(), argument()
  local counter = read_counter(KEYS[i], slice, horizon)
  drop_dead(counter)
  local first = first_live(counter)
  for _ = 1, filled do
    local index, units = argument(), argument()
    if index >= first then
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
if ARGV[3] == '1' then
  if not clock[1] then redis.call('HSET', KEYS[1], 'ready', text(now + tonumber(ARGV[4]))) end
  redis.call('HSET', KEYS[1], 'now', text(now))
  redis.call('SET', KEYS[2], ARGV[1] .. ':' .. text(now), 'PX', MARK_TTL_MS)
end
return { GRANTED }
