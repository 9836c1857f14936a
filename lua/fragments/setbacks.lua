-- How attempts end that gave no result, and what ends with a job beside it.
-- needs: delayed_key, prefix, now_ms, now, ms_text, fields_of, emit
-- needs: push_new, wake_now, wake_at, count_of, count_text, seldom

-- The workflow of a result has to know whose it is: only what that attempt has spawned counts.
local function let_go(id, dedup_key, workflow_id, settled_by)
  if dedup_key then
    seldom().release_dedup(dedup_key, id)
  end
  if workflow_id and settled_by then
    redis.call('HSET', prefix .. id, 'py:settledBy', settled_by)
  end
end

local function give_slot_back(concurrency_key)
  if concurrency_key and seldom().release_concurrency(concurrency_key) then
    wake_now()
  end
end

-- Where a job stands that will run again. One that no handler has seen, since it was declined, returns to where it was
-- claimed from; among those of its priority it stands where its time puts it, anyway.
local function queue_again(id, kind, delay_ms)
  if kind == 'retrying' or delay_ms > 0 then
    redis.call('ZADD', delayed_key, ms_text(now_ms + delay_ms), id)
  else
    local fields = fields_of(prefix .. id, 'priority', 'ts')
    local priority = tonumber(fields[1] or '0') or 0
    push_new(id, priority, tonumber(fields[2] or now) or now_ms, kind == 'declined' and not (priority > 0))
  end
end

local function retry_later(id, job_key, attempt, error_text, delay_ms)
  local next_attempt = string.format('%d', attempt + 1)
  local due = now_ms + delay_ms
  redis.call('HSET', job_key, 'state', 'retrying', 'attempt', next_attempt, 'error', error_text)
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
local function give_back(id, job_key, delay_ms)
  if delay_ms > 0 then
    redis.call('HSET', job_key, 'state', 'delayed')
    wake_at(now_ms + delay_ms)
  else
    redis.call('HSET', job_key, 'state', 'waiting')
    wake_now()
    emit('waiting', id)
  end
end

-- The job has its new place by now.
local function end_without_result(kind, id, job_key, fields, payload, delay_ms)
  if kind == 'retrying' then
    retry_later(id, job_key, count_of(fields[1]), payload, delay_ms)
  elseif kind == 'failed' then
    redis.call('HSET', job_key, 'state', 'failed', 'finishedOn', now, 'error', payload)
    let_go(id, fields[5], fields[6])
    emit('failed', id, 'attempt', count_text(fields[1]), 'error', payload)
  elseif kind == 'cancelled' then
    redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
    let_go(id, fields[5], fields[6])
    emit('cancelled', id, 'reason', fields_of(job_key, 'cancelReason')[1] or '')
  else
    if kind == 'declined' then
      undo_start(job_key)
    end
    give_back(id, job_key, delay_ms)
  end
end
