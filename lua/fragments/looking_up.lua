-- Asks for many things, as many at once as a call can take.

-- The answers are in their order; what is missing is false, not nil. `key` comes before the names if there is one.
local function looked_up(names, command, key)
  local BATCH = 1000
  local found = {}
  for first = 1, #names, BATCH do
    local last = math.min(first + BATCH - 1, #names)
    local values = key and redis.call(command, key, unpack(names, first, last))
      or redis.call(command, unpack(names, first, last))
    if #names <= BATCH then
      return values
    end
    for i = 1, #values do
      found[#found + 1] = values[i]
    end
  end
  return found
end
