-- count_versions: reads only
--
-- Called by the inspector: which payload versions the jobs have that may still run.
--
-- returns: list[list[int]]  {version, count, version, count...} of waiting, active, delayed jobs
-- emits: nothing
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local active_key = KEYS[3]       -- list    claimed ids
local delayed_key = KEYS[4]      -- zset    ids by due time
local prefix = KEYS[5]           -- prefix  every key of the task starts with it

--@include fields

local function add(counts, ids)
  for _, id in ipairs(ids) do
    local version = tonumber(fields_of(prefix .. id, '_v')[1] or '0') or 0
    counts[version] = (counts[version] or 0) + 1
  end
end

local function flat(counts)
  local row = {}
  for version, count in pairs(counts) do
    row[#row + 1] = version
    row[#row + 1] = count
  end
  return row
end

local waiting, active, delayed = {}, {}, {}
add(waiting, redis.call('LRANGE', wait_key, 0, -1))
add(waiting, redis.call('ZRANGE', prioritized_key, 0, -1))
add(waiting, redis.call('LRANGE', prefix .. 'parked:freed', 0, -1))
for _, key in ipairs(redis.call('ZRANGE', prefix .. 'parked:keys', 0, -1)) do
  add(waiting, redis.call('ZRANGE', prefix .. 'parked:key:' .. key, 0, -1))
end
add(active, redis.call('LRANGE', active_key, 0, -1))
add(delayed, redis.call('ZRANGE', delayed_key, 0, -1))
return { flat(waiting), flat(active), flat(delayed) }
