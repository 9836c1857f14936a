-- What becomes of a job whose worker is gone: back into the queue, unless it was cancelled or has stalled too often.
-- needs: active_key, failed_key, cancelled_key, stalled_key, prefix, max_count, now_ms, now, fields_of, emit
-- needs: push_ready, wake_now, release_concurrency, release_dedup, note_end

local ERROR_TEXT = 'Job stalled and exceeded max stalled count'

local recovered, failed, cancelled = {}, {}, {} -- ids

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
  local count = redis.pcall('HINCRBY', job_key, 'stalledCount', 1)
  if type(count) ~= 'number' then -- what stood there is no number: counted anew
    count = 1
    redis.call('HSET', job_key, 'stalledCount', '1')
  end
  if count > max_count then
    fail(id, job_key, fields, tostring(count))
  else
    requeue(id, job_key, fields, tostring(count))
  end
end
