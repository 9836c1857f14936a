-- A job that did not start in time. The expiry belongs to the wait for the first start.
-- needs: expired_key, on_expire, default_ttl_ms, prefix, now_ms, now, fields_of, emit, release_dedup, list_ended

-- How long it is told of a discarded job what became of it.
local REMAINS_MS = 600000

-- Where the dispatch did not say, the worker does, for jobs that never started.
local function is_expired(job_key, expire_at, ts)
  local deadline = tonumber(expire_at or '')
  if deadline and deadline > 0 then
    return now_ms >= deadline
  end
  local dispatched = default_ttl_ms > 0 and tonumber(ts or '')
  if not dispatched or now_ms < dispatched + default_ttl_ms then
    return false
  end
  local exempt = fields_of(job_key, 'processedOn', 'collectKey')
  return not exempt[1] and not exempt[2] -- a batch that ended so would leave its items behind
end

-- Of a discarded job nothing is left but what those who wait for it have to know, for a while.
local function discard(id, job_key)
  local remains = prefix .. 'gone:' .. id
  redis.call('HSET', remains, 'state', 'expired', 'finishedOn', now)
  redis.call('DEL', job_key, job_key .. ':logs')
  redis.call('PEXPIRE', remains, REMAINS_MS)
end

-- A step of a workflow is never discarded: the workflow has to learn what became of it.
local function expire(id, job_key, dedup_key)
  local workflow_id = fields_of(job_key, '_wf')[1]
  if on_expire == 'discard' and not workflow_id then
    discard(id, job_key)
  else
    list_ended(expired_key, id, workflow_id)
    redis.call('HSET', job_key, 'state', 'expired', 'finishedOn', now)
  end
  release_dedup(dedup_key, id)
  emit('expired', id)
end
