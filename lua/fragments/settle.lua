-- How the attempts of a batch ended. Every write is fenced: only the token stored in the job's lock may settle it.
-- needs: active_key, delayed_key, completed_key, failed_key, cancelled_key, stalled_key, prefix, resend, now_ms
-- needs: note_end

local LOST, SETTLED, CANCEL_REQUESTED, REPEATED = 0, 1, 2, 3

local SHORT_SEARCH = 128

local running = nil -- how many jobs are active, once that was asked
local settled = {}
local settled_ids = {}
local settled_locks = {}
local ended = {} -- score and id in turn, by the set that they belong to
local finished = { completed = 0, failed = 0 }

local function finish(id, job_key, state, set_key, fields, ...)
  redis.call('HSET', job_key, 'state', state, 'finishedOn', now, ...)
  local entries = ended[set_key] or {}
  entries[#entries + 1] = now
  entries[#entries + 1] = id
  ended[set_key] = entries
  release_dedup(fields[5], id)
  note_end(id, fields[9])
end

local function retry_later(id, job_key, attempt, error_text, delay_ms)
  local next_attempt = string.format('%d', attempt + 1)
  local due = now_ms + delay_ms
  redis.call('HSET', job_key, 'state', 'retrying', 'attempt', next_attempt, 'error', error_text)
  redis.call('ZADD', delayed_key, ms_text(due), id)
  wake_at(due)
  emit('retrying', id, 'attempt', next_attempt, 'nextAttemptAt', ms_text(due), 'error', error_text)
end

-- No handler started: the job is as it was before the claim, with its time to live.
local function undo_start(job_key)
  local before = fields_of(job_key, 'py:before')[1] or ''
  local processed_on, expire_at = string.match(before, '^(%d*),(%d*)$')
  redis.call('HDEL', job_key, 'processedOn', 'py:before')
  if (processed_on or '') ~= '' then
    redis.call('HSET', job_key, 'processedOn', processed_on)
  end
  if (expire_at or '') ~= '' then
    redis.call('HSET', job_key, 'expireAt', expire_at)
  end
end

-- Gives the job back without spending the attempt. With a delay it is parked silently: a job that no live
-- worker can run must neither wake them all nor fill the stream.
local function give_back(id, job_key, fields, delay_ms)
  if delay_ms > 0 then
    redis.call('HSET', job_key, 'state', 'delayed')
    redis.call('ZADD', delayed_key, ms_text(now_ms + delay_ms), id)
    wake_at(now_ms + delay_ms)
  else
    redis.call('HSET', job_key, 'state', 'waiting')
    push_ready(id, tonumber(fields[6] or '0') or 0, tonumber(fields[7] or now) or now_ms)
    wake_now()
    emit('waiting', id)
  end
end

local function apply(kind, id, job_key, fields, payload, delay_ms)
  local attempt = tonumber(fields[1] or '0') or 0
  local attempt_text = string.format('%d', attempt)
  if kind == 'completed' then
    finish(id, job_key, 'completed', completed_key, fields, 'result', payload)
    finished.completed = finished.completed + 1
    emit('completed', id, 'attempt', attempt_text)
  elseif kind == 'retrying' then
    retry_later(id, job_key, attempt, payload, delay_ms)
  elseif kind == 'failed' then
    finish(id, job_key, 'failed', failed_key, fields, 'error', payload)
    finished.failed = finished.failed + 1
    emit('failed', id, 'attempt', attempt_text, 'error', payload)
  elseif kind == 'cancelled' then
    finish(id, job_key, 'cancelled', cancelled_key, fields)
    emit('cancelled', id, 'reason', fields[3] or '')
  else
    if kind == 'declined' then
      undo_start(job_key)
    end
    give_back(id, job_key, fields, delay_ms)
  end
end

-- Jobs that end stand at the right where all take equally long, and at the left of those that run for long. Searching
-- past thousands of the latter would cost more than everything else.
local function remove_active(id)
  running = running or redis.call('LLEN', active_key)
  local is_recent = running > SHORT_SEARCH and redis.call('LPOS', active_key, id, 'MAXLEN', SHORT_SEARCH)
  redis.call('LREM', active_key, is_recent and 1 or -1, id)
end

local function leave_active(id, lock_key)
  -- Comes before every other write: a server that is out of memory permits it, and then permits the rest.
  remove_active(id)
  settled[id] = true
  settled_ids[#settled_ids + 1] = id
  settled_locks[#settled_locks + 1] = lock_key
end

-- Who holds the leases of some jobs; false for nobody.
local function lease_holders(lock_keys)
  local holders = {}
  in_batches(lock_keys, function(...)
    for _, holder in ipairs(redis.call('MGET', ...)) do
      holders[#holders + 1] = holder
    end
  end)
  return holders
end

local function settle(kind, id, token, payload, delay_ms, holder)
  local job_key = prefix .. id
  local lock_key = job_key .. ':lock'
  if settled[id] or holder ~= token then
    return resend == '1' and REPEATED or LOST
  end
  local fields = fields_of(job_key, 'attempt', 'cancelledAt', 'cancelReason', 'concurrencyKey', 'dedupKey',
    'priority', 'ts', 'state', '_wf')
  if not fields[8] then -- the job was deleted while it ran: its outcome must not create half a job
    leave_active(id, lock_key)
    return LOST
  end
  -- A job that somebody cancelled must not run again: the worker keeps the lease, runs its cancel hook and
  -- settles it as cancelled. A result that is ready or a final failure stands as it is.
  if fields[2] and (kind == 'retrying' or kind == 'released' or kind == 'declined') then
    return CANCEL_REQUESTED
  end
  leave_active(id, lock_key)
  if release_concurrency(fields[4]) then
    wake_now()
  end
  apply(kind, id, job_key, fields, payload, delay_ms)
  return SETTLED
end

-- Must run before anything is claimed: a job given back may be claimed again by this very call.
local function flush_settled()
  in_batches(settled_locks, function(...)
    redis.call('DEL', ...)
  end)
  in_batches(settled_ids, function(...)
    redis.call('SREM', stalled_key, ...)
  end)
  for set_key, entries in pairs(ended) do
    in_batches(entries, function(...)
      redis.call('ZADD', set_key, ...)
    end)
  end
  count_finished('completed', finished.completed)
  count_finished('failed', finished.failed)
end
