-- recover_stalled: active -> waiting | failed | cancelled
--
-- Called by every worker now and then; safe to run anywhere, at any time, twice at once. Two phases: a job that was
-- active at the previous sweep, is active still and has no lease, lost its worker; then all active jobs become the
-- candidates of the next sweep. The oldest claim comes first, so that it also runs first. A candidate that has
-- meanwhile ended is only forgotten. A late worker whose job was recovered is refused when it settles, because its
-- token is gone.
--
-- returns: list[list[bytes]]  {recovered ids, failed ids, cancelled ids}
-- emits: stalled; failed; cancelled
local wait_key = KEYS[1]           -- list    ready ids, newest left
local prioritized_key = KEYS[2]    -- zset    ready ids with a priority
local active_key = KEYS[3]         -- list    claimed ids
local failed_key = KEYS[4]         -- zset    ids by end time: the dead-letter queue
local cancelled_key = KEYS[5]      -- zset    ids by end time
local stalled_key = KEYS[6]        -- set     candidates of the stall sweep
local marker_key = KEYS[7]         -- zset    wake-up token
local events_key = KEYS[8]         -- stream  events of the task
local prefix = KEYS[9]             -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]       -- clock   epoch milliseconds, or empty for the server's clock
local max_count = tonumber(ARGV[2])  -- int   how often a job may stall before it fails

--@include clock
--@include batches
--@include fields
--@include events
--@include ready
--@include parking
--@include holdings
--@include throughput
--@include telling

local ERROR_TEXT = 'Job stalled and exceeded max stalled count'
local recovered, failed, cancelled = {}, {}, {}

local function finish(id, job_key, state, set_key, fields)
  redis.call('HSET', job_key, 'state', state, 'finishedOn', now)
  redis.call('ZADD', set_key, now, id)
  release_dedup(fields[3], id)
  note_end(id, fields[9])
end

local function fail(id, job_key, fields, count)
  finish(id, job_key, 'failed', failed_key, fields)
  redis.call('HSET', job_key, 'error', ERROR_TEXT)
  emit('stalled', id, 'count', count, 'action', 'failed')
  emit('failed', id, 'attempt', fields[6] or '0', 'error', ERROR_TEXT)
  failed[#failed + 1] = id
end

local function requeue(id, job_key, fields, count)
  redis.call('HSET', job_key, 'state', 'waiting')
  push_ready(id, tonumber(fields[4] or '0') or 0, tonumber(fields[5] or now) or now_ms)
  wake_now()
  emit('stalled', id, 'count', count, 'action', 'recovered')
  recovered[#recovered + 1] = id
end

local function recover(id)
  local job_key = prefix .. id
  if redis.call('EXISTS', job_key .. ':lock') == 1 then
    return -- its worker is alive
  end
  redis.call('LREM', active_key, -1, id)
  local fields = fields_of(job_key, 'cancelledAt', 'concurrencyKey', 'dedupKey', 'priority', 'ts',
    'attempt', 'cancelReason', 'state', '_wf')
  if not fields[8] then
    return -- its hash is gone: nothing to give back
  end
  if release_concurrency(fields[2]) then
    wake_now()
  end
  if fields[1] then
    finish(id, job_key, 'cancelled', cancelled_key, fields)
    emit('cancelled', id, 'reason', fields[7] or '')
    cancelled[#cancelled + 1] = id
    return
  end
  local count = redis.call('HINCRBY', job_key, 'stalledCount', 1)
  if count > max_count then
    fail(id, job_key, fields, tostring(count))
  else
    requeue(id, job_key, fields, tostring(count))
  end
end

local candidates = {}
for _, id in ipairs(redis.call('SMEMBERS', stalled_key)) do
  candidates[id] = true
end
local active = redis.call('LRANGE', active_key, 0, -1)
for i = #active, 1, -1 do
  local id = active[i]
  if candidates[id] then
    candidates[id] = nil
    recover(id)
  end
end
count_finished('failed', #failed)

-- The concurrency keys of the active jobs, oldest claim first, and those that jobs are parked for.
local function keys_in_use()
  local keys, held = {}, {}
  local function add(key, count)
    if not held[key] then
      keys[#keys + 1] = key
      held[key] = 0
    end
    held[key] = held[key] + count
  end
  local active_ids = redis.call('LRANGE', active_key, 0, -1)
  for i = #active_ids, 1, -1 do
    local key = fields_of(prefix .. active_ids[i], 'concurrencyKey')[1]
    if key and key ~= '' then
      add(key, 1)
    end
  end
  for _, key in ipairs(redis.call('ZRANGE', PARKED_KEYS, 0, -1)) do
    add(key, 0)
  end
  return keys, held
end

-- Counters may have lost count when a worker died, or when a job was deleted while it ran. A key that nothing holds
-- lets the first of its parked jobs go in any case.
local function recount()
  local keys, held = keys_in_use()
  for _, key in ipairs(keys) do
    local counted = slots_held(key)
    if counted ~= held[key] and held[key] == 0 then
      redis.call('DEL', prefix .. 'conc:' .. key)
    elseif counted ~= held[key] then
      redis.call('SET', prefix .. 'conc:' .. key, string.format('%d', held[key]))
    end
    if (held[key] < counted or held[key] == 0) and free_next(key) then
      wake_now()
    end
  end
end

recount()

redis.call('DEL', stalled_key) -- forgets those that ended between two sweeps
in_batches(redis.call('LRANGE', active_key, 0, -1), function(...)
  redis.call('SADD', stalled_key, ...)
end)
return { recovered, failed, cancelled }
