-- Ending a job that has not ended, or asking the worker that runs it to.
-- needs: wait_key, prioritized_key, delayed_key, cancelled_key, cancel_channel, prefix, now, release_dedup, free_next
-- needs: fields_of, unpark, emit, wake_now, FREED, NEWER

local UNKNOWN, CANCELLED, REQUESTED, ENDED = 0, 1, 2, 3
local FINAL = { completed = true, failed = true, cancelled = true, expired = true }

-- Takes a waiting job out of its place. One that was ready may have been freed: the next of its key gets the chance.
local function withdraw(job_id, concurrency_key)
  if redis.call('LREM', wait_key, 1, job_id) == 1 then
    return
  end
  if redis.call('ZREM', prioritized_key, job_id) == 1 or redis.call('LREM', FREED, 1, job_id) == 1 then
    if concurrency_key and free_next(concurrency_key) then
      wake_now()
    end
  elseif concurrency_key then
    unpark(job_id, concurrency_key)
  end
end

-- The job has its new place before it loses the old one: an error leaves it as it was. The index goes first: a server that
-- is out of memory permits that, and then permits the rest.
local function end_cancelled(job_id, state, concurrency_key)
  redis.pcall('ZREM', NEWER, job_id)
  redis.call('ZADD', cancelled_key, now, job_id)
  local is_withdrawn, why = true, nil
  if state == 'waiting' then
    is_withdrawn, why = pcall(withdraw, job_id, concurrency_key)
  else
    is_withdrawn, why = pcall(redis.call, 'ZREM', delayed_key, job_id)
  end
  if not is_withdrawn then
    redis.call('ZREM', cancelled_key, job_id)
    error(why)
  end
end

local function cancel(job_id, reason)
  local job_key = prefix .. job_id
  local fields = fields_of(job_key, 'state', 'dedupKey', 'concurrencyKey')
  local state, dedup_key, concurrency_key = fields[1], fields[2], fields[3]
  if not state then
    return UNKNOWN
  end
  if FINAL[state] then
    return ENDED
  end
  if state ~= 'active' then
    end_cancelled(job_id, state, concurrency_key)
  end
  if reason ~= '' then
    redis.call('HSET', job_key, 'cancelReason', reason)
  end
  if state == 'active' then
    redis.call('HSET', job_key, 'cancelledAt', now)
    redis.call('PUBLISH', cancel_channel, job_id)
    return REQUESTED
  end
  redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
  release_dedup(dedup_key, job_id)
  emit('cancelled', job_id, 'reason', reason)
  return CANCELLED
end
