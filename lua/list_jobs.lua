-- list_jobs: reads only
--
-- Called by the inspector. Waiting jobs come in the order in which they will leave, active ones oldest claim first,
-- delayed ones by due time, ended ones newest first. Delayed and retrying jobs share a set: they are told apart by
-- their state, one by one. So that no call holds the server for long, one that has looked at many of them says where
-- the next one goes on, and how many of those it was to skip it has found.
--
-- returns: tuple[list[list[bytes]], list[int]]  {per job {job_id, why it is parked or nothing, field, value, field,
-- value...}, {} or {after of the next call, how many of the state were skipped}}
-- emits: nothing
--@diagnosed
local wait_key = KEYS[1]            -- list    ready ids, newest left
local prioritized_key = KEYS[2]     -- zset    ready ids with a priority
local active_key = KEYS[3]          -- list    claimed ids
local delayed_key = KEYS[4]         -- zset    ids by due time
local finished_key = KEYS[5]        -- zset    ids by end time, of the state asked for
local prefix = KEYS[6]              -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]        -- clock   epoch milliseconds, or empty for the server's clock
local state = ARGV[2]               -- str     a job state
local offset = tonumber(ARGV[3])    -- int
local limit = tonumber(ARGV[4])     -- int
local after = tonumber(ARGV[5])     -- int     of delayed and retrying: how many others were looked at before

--@include clock
--@include newer
--@include running
--@include workers
--@include reasons

local PAGE = 1000
local LOOKED_AT_ONCE = 5000

local function newest_last(list_key, first, count)
  local ids = {}
  if count > 0 then
    local slice = redis.call('LRANGE', list_key, -(first + count), -(first + 1))
    for i = #slice, 1, -1 do
      ids[#ids + 1] = slice[i]
    end
  end
  return ids
end

-- Adds what the page still lacks from one source, given its size and how to read a range of it.
local function add_page(ids, seen, size, read)
  local first = math.max(offset - seen, 0)
  if #ids < limit and first < size then
    for _, id in ipairs(read(first, math.min(limit - #ids, size - first))) do
      ids[#ids + 1] = id
    end
  end
  return seen + size
end

local function zset_page(key)
  return function(first, count)
    return redis.call('ZRANGE', key, first, first + count - 1)
  end
end

local function list_page(key)
  return function(first, count)
    return newest_last(key, first, count)
  end
end

local function waiting_ids()
  local ids = {}
  local freed = prefix .. 'parked:freed'
  local seen = add_page(ids, 0, redis.call('ZCARD', prioritized_key), zset_page(prioritized_key))
  seen = add_page(ids, seen, redis.call('LLEN', freed), list_page(freed))
  seen = add_page(ids, seen, redis.call('LLEN', wait_key), list_page(wait_key))
  for _, concurrency_key in ipairs(redis.call('ZRANGE', prefix .. 'parked:keys', 0, -1)) do
    if #ids == limit then
      break
    end
    local key = prefix .. 'parked:key:' .. concurrency_key
    seen = add_page(ids, seen, redis.call('ZCARD', key), zset_page(key))
  end
  return ids
end

-- Returns ids, and where to go on if there may be more.
local function delayed_ids()
  local ids, skipped = {}, 0
  for first = after, after + LOOKED_AT_ONCE - 1, PAGE do
    local page = redis.call('ZRANGE', delayed_key, first, first + PAGE - 1)
    for _, id in ipairs(page) do
      if redis.call('HGET', prefix .. id, 'state') ~= state then
        -- of the other kind, or a ghost
      elseif skipped < offset then
        skipped = skipped + 1
      else
        ids[#ids + 1] = id
        if #ids == limit then
          return ids, {}
        end
      end
    end
    if #page < PAGE then
      return ids, {}
    end
  end
  return ids, { after + LOOKED_AT_ONCE, skipped }
end

local ids
local rest = {}
if limit < 1 then
  ids = {} -- a range that ends before its start would mean all
elseif state == 'waiting' then
  ids = waiting_ids()
elseif state == 'active' then
  ids = newest_last(active_key, offset, limit)
elseif state == 'delayed' or state == 'retrying' then
  ids, rest = delayed_ids()
else
  ids = redis.call('ZRANGE', finished_key, offset, offset + limit - 1, 'REV')
end
local rows = {}
for _, id in ipairs(ids) do
  local row = redis.call('HGETALL', prefix .. id)
  if #row > 0 then
    local reason = reason_of_record(id, row)
    table.insert(row, 1, id)
    table.insert(row, 2, reason)
    rows[#rows + 1] = row
  end
end
return { rows, rest }
