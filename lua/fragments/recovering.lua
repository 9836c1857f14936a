-- What becomes of a job whose worker is gone: back into the queue, unless it was cancelled or has stalled too often. It has
-- its new place before it loses the old one: an error leaves it among the active, for the next sweep.
-- needs: active_key, failed_key, cancelled_key, stalled_key, prefix, max_count, now_ms, now, fields_of, emit, count_of
-- needs: push_ready, wake_now, release_concurrency, release_dedup, list_ended

local ERROR_TEXT = 'Job stalled and exceeded max stalled count'

local recovered, failed, cancelled = {}, {}, {} -- ids

local function end_as(state, set_key, id, job_key, fields, ...)
  list_ended(set_key, id, fields[9])
  redis.call('HSET', job_key, 'state', state, 'finishedOn', now, ...)
  release_dedup(fields[3], id)
end

local function cancel(id, job_key, fields)
  end_as('cancelled', cancelled_key, id, job_key, fields)
  emit('cancelled', id, 'reason', fields[7] or '')
  cancelled[#cancelled + 1] = id
end

local function fail(id, job_key, fields, count)
  end_as('failed', failed_key, id, job_key, fields, 'error', ERROR_TEXT, 'stalledCount', count)
  emit('stalled', id, 'count', count, 'action', 'failed')
  emit('failed', id, 'attempt', fields[6] or '0', 'error', ERROR_TEXT)
  failed[#failed + 1] = id
end

local function requeue(id, job_key, fields, count)
  push_ready(id, tonumber(fields[4] or '0') or 0, tonumber(fields[5] or now) or now_ms)
  redis.call('HSET', job_key, 'state', 'waiting', 'stalledCount', count)
  wake_now()
  emit('stalled', id, 'count', count, 'action', 'recovered')
  recovered[#recovered + 1] = id
end

-- The candidates go first: a server that is out of memory permits that, and then permits the rest.
local function recover(id)
  local job_key = prefix .. id
  redis.call('SREM', stalled_key, id)
  local fields = fields_of(job_key, 'cancelledAt', 'concurrencyKey', 'dedupKey', 'priority', 'ts',
    'attempt', 'cancelReason', 'state', '_wf', 'stalledCount')
  local count = count_of(fields[10]) + 1
  if not fields[8] then
    redis.call('LREM', active_key, -1, id) -- its hash is gone: nothing to give back
    return
  end
  if fields[1] then
    cancel(id, job_key, fields)
  elseif count > max_count then
    fail(id, job_key, fields, string.format('%d', count))
  else
    requeue(id, job_key, fields, string.format('%d', count))
  end
  redis.call('LREM', active_key, -1, id)
  if release_concurrency(fields[2]) then
    wake_now()
  end
end
