-- Reads without counting or writing. ARGV[3...]: slice and horizon of each counter.
-- Answer: {GRANTED, used and next_free of each counter...}

local bad = unfit()
if bad then return bad end

local answer = { GRANTED }
for i = 3, #KEYS do
  local counter = read_counter(KEYS[i], tonumber(ARGV[2 * i - 3]), tonumber(ARGV[2 * i - 2]))
  answer[#answer + 1] = used(counter)
  answer[#answer + 1] = next_free(counter)
end
return answer
