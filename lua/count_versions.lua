-- count_versions: reads only
--
-- Called by the inspector: which payload versions the jobs have that may still run. So that no call holds the server for
-- long, one that has looked at many jobs says where the next one goes on. Places are counted in the order in which jobs
-- move through them, and from the end at which they join: one that moves meanwhile is rather counted twice than missed.
--
-- returns: tuple[list[int], list[int], list[int], list[bytes]]  {version, count, version, count...} of waiting, of active
--   and of delayed jobs, {cursor of the next call, if there is one}
-- emits: nothing
--@diagnosed
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local active_key = KEYS[3]       -- list    claimed ids
local delayed_key = KEYS[4]      -- zset    ids by due time
local prefix = KEYS[5]           -- prefix  every key of the task starts with it

local cursor = ARGV[1]           -- str     empty for the first call, then what the reply said

--@include fields
--@include parked

local KEYS_AT_ONCE = 100
local left = 5000 -- how many jobs this call may look at
local place, after, scan = string.match(cursor, '^(%d+):(%d+):(%d+)$')
place, after, scan = tonumber(place or '1'), tonumber(after or '0'), scan or '0'
local waiting, active, delayed = {}, {}, {}

local function add(counts, ids)
  for _, id in ipairs(ids) do
    local version = tonumber(fields_of(prefix .. id, '_v')[1] or '0') or 0
    counts[version] = (counts[version] or 0) + 1
  end
  after = after + #ids
  left = left - #ids
end

-- Each of these counts what is in one place, behind what was counted `after`, and returns whether that was all.
local function of_zset(key, counts)
  return function()
    add(counts, redis.call('ZRANGE', key, after, after + left - 1, 'REV'))
    return left > 0
  end
end

local function of_list(key, counts)
  return function()
    add(counts, redis.call('LRANGE', key, after, after + left - 1))
    return left > 0
  end
end

-- The order of the keys changes all the time, so they are scanned; `after` counts within one step of the scan.
local function parked()
  repeat
    local step = redis.call('ZSCAN', PARKED_KEYS, scan, 'COUNT', KEYS_AT_ONCE)
    local skipped = after
    for i = 1, #step[2], 2 do
      local key = prefix .. 'parked:key:' .. step[2][i]
      local size = redis.call('ZCARD', key)
      if skipped < size then
        add(waiting, redis.call('ZRANGE', key, skipped, skipped + left - 1))
        if left <= 0 then
          return false
        end
      end
      skipped = math.max(skipped - size, 0)
    end
    left = left - #step[2]
    scan, after = step[1], 0
  until scan == '0' or left <= 0
  return scan == '0'
end

local PLACES = {
  of_zset(delayed_key, delayed),
  of_zset(prioritized_key, waiting),
  of_list(FREED, waiting),
  of_list(wait_key, waiting),
  parked,
  of_list(active_key, active),
}

local function flat(counts)
  local row = {}
  for version, count in pairs(counts) do
    row[#row + 1] = version
    row[#row + 1] = count
  end
  return row
end

local rest
while place <= #PLACES do
  if left <= 0 or not PLACES[place]() then
    rest = string.format('%d:%d:%s', place, after, scan)
    break
  end
  place, after, scan = place + 1, 0, '0'
end
return { flat(waiting), flat(active), flat(delayed), { rest } }
