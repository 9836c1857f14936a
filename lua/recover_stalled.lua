-- recover_stalled: active -> waiting | failed | cancelled
--
-- Called by every worker now and then; safe to run anywhere, at any time, twice at once. Two phases: a job that was
-- active at the previous sweep, is active still and has no lease, lost its worker; then all active jobs become the
-- candidates of the next sweep. The oldest claim comes first, so that it also runs first. A candidate that has
-- meanwhile ended is only forgotten. A late worker whose job was recovered is refused when it settles, because its
-- token is gone.
--
-- A sweep of many jobs takes several calls, so that none holds the server for long: each but the last says where the
-- next one goes on. Other calls may come between them, sweeps too.
--
-- returns: list[list[bytes]]  {recovered ids, failed ids, cancelled ids, {cursor of the next call, if there is one}}
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
local cursor = tonumber(ARGV[3])   -- int     0 for the first call of a sweep, then what the reply said

--@include clock
--@include batches
--@include looking_up
--@include fields
--@include events
--@include ready
--@include parked
--@include parking
--@include holdings
--@include throughput
--@include telling

local ERROR_TEXT = 'Job stalled and exceeded max stalled count'
local PAGE = 500
local RECOVERED_AT_ONCE = 500
local PARKED_AT_ONCE = 2000
local LEARNT = prefix .. 'parked:learnt'
local LEARNT_MS = 60000
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

-- Returns the leases of jobs, in order; false where there is none.
local function leases_of(ids)
  local lock_keys = {}
  for i, id in ipairs(ids) do
    lock_keys[i] = prefix .. id .. ':lock'
  end
  return looked_up(lock_keys, 'MGET')
end

local function recover(id)
  local job_key = prefix .. id
  redis.call('LREM', active_key, -1, id)
  redis.call('SREM', stalled_key, id)
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

-- Those that were active at the previous sweep, too, oldest claim first.
local function suspects()
  local found, candidates = {}, {}
  if redis.call('EXISTS', stalled_key) == 0 then
    return found
  end
  for _, id in ipairs(redis.call('SMEMBERS', stalled_key)) do
    candidates[id] = true
  end
  local active = redis.call('LRANGE', active_key, 0, -1)
  for i = #active, 1, -1 do
    if candidates[active[i]] then
      candidates[active[i]] = nil
      found[#found + 1] = active[i]
    end
  end
  return found
end

-- Returns whether there are more.
local function recover_some()
  local found, left = suspects(), RECOVERED_AT_ONCE
  local leases = leases_of(found)
  for i, id in ipairs(found) do
    if not leases[i] then -- otherwise its worker is alive
      if left == 0 then
        return true
      end
      left = left - 1
      recover(id)
    end
  end
  return false
end

-- Which concurrency key a job has never changes, so it may be found out over several calls. Jobs without one have ''.
local function learn_keys(ids)
  local pairs_of = {}
  for _, id in ipairs(ids) do
    pairs_of[#pairs_of + 1] = id
    pairs_of[#pairs_of + 1] = fields_of(prefix .. id, 'concurrencyKey')[1] or ''
  end
  in_batches(pairs_of, 'HSET', LEARNT)
  redis.call('PEXPIRE', LEARNT, LEARNT_MS)
end

local function learnt_keys(ids)
  return looked_up(ids, 'HMGET', LEARNT)
end

-- Returns the key of each active job, or nothing as long as too many have to be learnt.
local function keys_of_active(active)
  local keys, unknown, places = learnt_keys(active), {}, {}
  for i, id in ipairs(active) do
    if not keys[i] and #unknown < PAGE then
      unknown[#unknown + 1] = id
      places[#places + 1] = i
    elseif not keys[i] then
      learn_keys(unknown)
      return nil
    end
  end
  for i, id in ipairs(unknown) do
    keys[places[i]] = fields_of(prefix .. id, 'concurrencyKey')[1] or ''
  end
  return keys
end

-- The concurrency keys of the active jobs, oldest claim first, and those that jobs are parked for: not all at once, but
-- those that were not looked at for longest.
local function keys_in_use(active_keys)
  local keys, held = {}, {}
  local function add(key, count)
    if not held[key] then
      keys[#keys + 1] = key
      held[key] = 0
    end
    held[key] = held[key] + count
  end
  for i = #active_keys, 1, -1 do
    if active_keys[i] ~= '' then
      add(active_keys[i], 1)
    end
  end
  local parked = redis.call('ZRANGE', PARKED_KEYS, 0, PARKED_AT_ONCE - 1)
  for _, key in ipairs(parked) do
    add(key, 0)
    if #parked == PARKED_AT_ONCE then
      redis.call('ZADD', PARKED_KEYS, 'XX', now, key)
    end
  end
  return keys, held
end

local function counters_of(keys)
  local counters = {}
  for i, key in ipairs(keys) do
    counters[i] = prefix .. 'conc:' .. key
  end
  return looked_up(counters, 'MGET')
end

-- Counters may have lost count when a worker died, or when a job was deleted while it ran. A key that nothing holds
-- lets the first of its parked jobs go in any case.
local function recount(active_keys)
  local keys, held = keys_in_use(active_keys)
  local counters = counters_of(keys)
  for i, key in ipairs(keys) do
    local counted = tonumber(counters[i] or '') or 0
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

-- Counting is one step, since only then it is right. Returns where to go on, if what it needs is not learnt yet.
local function recount_from(page_start)
  local length = redis.call('LLEN', active_key)
  if length > PAGE and page_start < length then
    local last = -page_start - 1
    learn_keys(redis.call('LRANGE', active_key, last - PAGE + 1, last))
    return page_start + PAGE
  end
  local active = redis.call('LRANGE', active_key, 0, -1)
  local active_keys = keys_of_active(active)
  if not active_keys then
    return page_start
  end
  recount(active_keys)
  redis.call('DEL', LEARNT)
  redis.call('DEL', stalled_key) -- forgets those that ended between two sweeps
  in_batches(active, 'SADD', stalled_key)
  return nil
end

local next_cursor
if cursor == 0 then
  redis.call('DEL', LEARNT)
  if recover_some() then
    next_cursor = 0
  end
  count_finished('failed', #failed)
end
next_cursor = next_cursor or recount_from(cursor)
return { recovered, failed, cancelled, { next_cursor and string.format('%d', next_cursor) } }
