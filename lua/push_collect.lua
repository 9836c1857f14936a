-- push_collect: (none) -> delayed | waiting, as a batch
--
-- Called by producers for tasks that collect. The item joins the batch of its key. The batch is run by one job, which
-- the last push of a batch names: it is due some time after that push, or so long after the first one, or at once when
-- the batch is full. A job that is due already is left alone: it takes what is there when it is claimed. An item that
-- is sent again joins once.
--
-- returns: list[int]  {2 refused, the batch is full | 1 the batch runs now | 0 it is waited for more | 3 sent before,
--   items in the batch}
-- emits: collect or waiting
--@diagnosed
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local delayed_key = KEYS[3]      -- zset    ids by due time
local marker_key = KEYS[4]       -- zset    wake-up token
local events_key = KEYS[5]       -- stream  events of the task
local prefix = KEYS[6]           -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock   epoch milliseconds, or empty for the server's clock
local version = ARGV[2]          -- int     payload version
local max_attempts = ARGV[3]     -- int     total number of runs
local resend = ARGV[4]           -- flag    this call may have been executed before
local job_id = ARGV[5]           -- str     the job that runs the batch, if this push is its last
local collect_key = ARGV[6]      -- str     what gathers together
local item = ARGV[7]             -- bytes   one encoded payload
local collect_ms = tonumber(ARGV[8])   -- int   how long after the last push
local max_size = tonumber(ARGV[9])     -- int   a batch of this size runs at once; 0 for no such limit
local max_wait_ms = tonumber(ARGV[10])  -- int  how long after the first push at the latest; 0 for no such limit
local max_items = tonumber(ARGV[11])   -- int   a batch never holds more

--@include clock
--@include fields
--@include events
--@include ready
--@include newer
--@include naming
--@include collecting
--@include remembering

-- Promoted, but not claimed: then it would carry its items. One that was cancelled will never take them.
local function is_due(id)
  local fields = id and fields_of(prefix .. id, 'collectKey', 'state') or {}
  return fields[1] and fields[2] == 'waiting'
end

local items_key, meta_key, pending_key = collect_keys(collect_key)
local pending = of_key(pending_key, redis.pcall('GET', pending_key))

if redis.call('EXISTS', prefix .. job_id) == 1 or (resend == '1' and recall(job_id)) then
  return { 3, tonumber(of_key(meta_key, redis.pcall('HGET', meta_key, 'count')) or '0') }
end
if of_key(items_key, redis.pcall('LLEN', items_key)) >= max_items then
  return { 2, max_items }
end

-- What may be refused comes first: an error leaves the batch without the item, and the job that runs it where it was.
local count = of_key(meta_key, redis.pcall('HINCRBY', meta_key, 'count', 1))
redis.call('HSETNX', meta_key, 'firstAt', now)
local is_full = max_size > 0 and count >= max_size

local function due_of_batch()
  local due = now_ms + collect_ms
  local first_ms = max_wait_ms > 0 and tonumber(redis.call('HGET', meta_key, 'firstAt'))
  return first_ms and math.min(due, first_ms + max_wait_ms) or due
end

-- Returns whether the job of the batch waits still, and gives its place to this one, or to none if it is due already.
local function find_place()
  local waits = pending and redis.call('ZSCORE', delayed_key, pending)
  if is_full then
    push_ready(job_id, 0, now_ms)
  elseif waits or not is_due(pending) then
    redis.call('ZADD', delayed_key, ms_text(due_of_batch()), job_id)
  end
  return waits
end

local has_place, waits = pcall(find_place)
if not has_place then
  if redis.call('HINCRBY', meta_key, 'count', -1) <= 0 then
    redis.call('DEL', meta_key)
  end
  error(waits)
end
redis.call('RPUSH', items_key, item)
redis.call('HSET', meta_key, 'lastAt', now)
remember(job_id, '1')
if waits then
  redis.call('ZREM', delayed_key, pending)
  redis.call('DEL', prefix .. pending)
  redis.pcall('ZREM', NEWER, pending)
elseif is_due(pending) and not is_full then
  return { 0, count } -- the claim takes this item too
end

local record = { 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts }
if is_full then
  redis.call('HSET', prefix .. job_id, 'state', 'waiting', 'priority', '0', 'data', take_items(collect_key),
    unpack(record))
  wake_now()
  emit('waiting', job_id)
  return { 1, count }
end

redis.call('HSET', prefix .. job_id, 'state', 'delayed', 'collectKey', collect_key, 'data', '[]', unpack(record))
wake_at(due_of_batch())
redis.call('SET', pending_key, job_id, 'PX', ms_text(math.max(1, 2 * math.max(collect_ms, max_wait_ms))))
emit('collect', job_id, 'count', string.format('%d', count), 'key', collect_key)
return { 0, count }
