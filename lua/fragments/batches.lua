-- Lua passes some 8000 arguments at most, and fails in the middle of its work when there are more.

local BATCH = 1000

local function in_batches(items, command)
  for first = 1, #items, BATCH do
    command(unpack(items, first, math.min(first + BATCH - 1, #items)))
  end
end
