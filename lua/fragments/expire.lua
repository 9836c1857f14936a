-- A job that did not start in time. The expiry belongs to the wait for the first start.
-- needs: expired_key, on_expire, prefix, now_ms

local function is_expired(expire_at)
  local deadline = tonumber(expire_at or '')
  return deadline ~= nil and deadline > 0 and now_ms >= deadline
end

local function expire(id, job_key, dedup_key)
  release_dedup(dedup_key, id)
  if on_expire == 'discard' then
    redis.call('DEL', job_key, job_key .. ':logs')
  else
    redis.call('HSET', job_key, 'state', 'expired', 'finishedOn', now)
    redis.call('ZADD', expired_key, now, id)
  end
  emit('expired', id)
end
