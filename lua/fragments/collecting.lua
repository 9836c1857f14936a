-- Batches in the making: items, oldest left; how many and since when; and the job that will run them.
-- needs: prefix

local function collect_keys(collect_key)
  local base = prefix .. 'collect:' .. collect_key
  return base .. ':items', base .. ':meta', base .. ':job'
end

-- Ends a batch: its items as one JSON array, or nothing when there are none.
local function take_items(collect_key)
  local items_key, meta_key, pending_key = collect_keys(collect_key)
  local items = redis.call('LRANGE', items_key, 0, -1)
  redis.call('DEL', items_key, meta_key, pending_key)
  if #items == 0 then
    return nil
  end
  return '[' .. table.concat(items, ',') .. ']'
end
