-- How attempts end that gave no result, and what ends with a job beside it.
-- needs: delayed_key, failed_key, cancelled_key, prefix, now_ms, now, ms_text, fields_of, emit, in_batches
-- needs: push_new, wake_now, wake_at, release_concurrency, release_dedup, note_end, count_finished

local ended = { [failed_key] = {}, [cancelled_key] = {} } -- score and id in turn

-- The workflow of a result has to know whose it is: only what that attempt has spawned counts.
local function let_go(id, dedup_key, workflow_id, settled_by)
  release_dedup(dedup_key, id)
  note_end(id, workflow_id)
  if workflow_id and settled_by then
    redis.call('HSET', prefix .. id, 'py:settledBy', settled_by)
  end
end

local function give_slot_back(concurrency_key)
  if release_concurrency(concurrency_key) then
    wake_now()
  end
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

-- Gives the job back without spending the attempt; one that no handler has seen returns to where it was claimed from.
-- With a delay it is parked silently: a job that no live worker can run must neither wake them all nor fill the stream.
local function give_back(id, job_key, delay_ms, is_unseen)
  if delay_ms > 0 then
    redis.call('HSET', job_key, 'state', 'delayed')
    redis.call('ZADD', delayed_key, ms_text(now_ms + delay_ms), id)
    wake_at(now_ms + delay_ms)
  else
    local fields = fields_of(job_key, 'priority', 'ts')
    local priority = tonumber(fields[1] or '0') or 0
    redis.call('HSET', job_key, 'state', 'waiting')
    -- Among those of its priority it stands where its time puts it, anyway.
    push_new(id, priority, tonumber(fields[2] or now) or now_ms, is_unseen and not (priority > 0))
    wake_now()
    emit('waiting', id)
  end
end

local function finish(id, job_key, state, set_key, fields, ...)
  redis.call('HSET', job_key, 'state', state, 'finishedOn', now, ...)
  local entries = ended[set_key]
  entries[#entries + 1] = now
  entries[#entries + 1] = id
  let_go(id, fields[5], fields[6])
end

local function end_without_result(kind, id, job_key, fields, payload, delay_ms)
  local attempt = tonumber(fields[1] or '0') or 0
  if kind == 'retrying' then
    retry_later(id, job_key, attempt, payload, delay_ms)
  elseif kind == 'failed' then
    finish(id, job_key, 'failed', failed_key, fields, 'error', payload)
    emit('failed', id, 'attempt', string.format('%d', attempt), 'error', payload)
  elseif kind == 'cancelled' then
    finish(id, job_key, 'cancelled', cancelled_key, fields)
    emit('cancelled', id, 'reason', fields_of(job_key, 'cancelReason')[1] or '')
  else
    local is_unseen = kind == 'declined'
    if is_unseen then
      undo_start(job_key)
    end
    give_back(id, job_key, delay_ms, is_unseen)
  end
end

local function flush_setbacks()
  for set_key, entries in pairs(ended) do
    in_batches(entries, 'ZADD', set_key)
  end
  count_finished('failed', #ended[failed_key] / 2)
end
