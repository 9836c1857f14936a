-- Lua passes some 8000 arguments at most, and fails in the middle of its work when there are more.

-- One command for many items, or a few for very many; `key` comes before them if there is one.
local function in_batches(items, command, key)
  local BATCH = 1000
  local count = #items
  for first = 1, count, BATCH do
    local last = first + BATCH > count and count or first + BATCH - 1
    if key then
      redis.call(command, key, unpack(items, first, last))
    else
      redis.call(command, unpack(items, first, last))
    end
  end
end
