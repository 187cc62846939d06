-- Puts units back into the slice that they were reserved in. ARGV[3]: time of the grant; ARGV[4...]: units, slice and horizon of each counter.
-- Not safe to repeat: whoever does not learn the outcome leaves the units counted.

local bad = unfit()
if bad then return bad end

local granted_at = tonumber(ARGV[3])
for i = 3, #KEYS do
  local units, at = tonumber(ARGV[3 * i - 5]), 3 * i - 4
  local counter = read_counter(KEYS[i], tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
  local slice = math.floor(granted_at / counter.slice)
  local held = slice >= first_live(counter) and tonumber(redis.call('HGET', counter.key, text(slice)) or 0) or 0
  local back = math.min(held, units)
  if back > 0 then
    drop_dead(counter)
    counter.total = counter.total - back
    if counter.total == 0 then
      redis.call('DEL', counter.key)
    else
      if back == held then
        redis.call('HDEL', counter.key, text(slice))
        if slice == counter.oldest then counter.oldest = next_filled(counter, slice + 1) end
      else
        redis.call('HINCRBY', counter.key, text(slice), text(-back))
      end
      redis.call('HSET', counter.key, 't', text(counter.total), 'o', text(counter.oldest))
    end
  end
end
return { GRANTED }
