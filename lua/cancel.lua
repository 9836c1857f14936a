-- cancel: waiting | delayed | retrying -> cancelled;  active -> active with a cancellation request
--
-- Called by anybody. A job that has ended, or never existed, is left as it is. The worker that runs an active job is
-- told by a message, and again by its next lease renewal; it then settles the job as cancelled. Asking twice changes
-- nothing but the time of the request.
--
-- returns: int  0 no such job, 1 cancelled, 2 requested from the worker that runs it, 3 it had already ended
-- emits: cancelled
local wait_key = KEYS[1]         -- list     ready ids, newest left
local prioritized_key = KEYS[2]  -- zset     ready ids with a priority
local delayed_key = KEYS[3]      -- zset     ids by due time
local cancelled_key = KEYS[4]    -- zset     ids by end time
local marker_key = KEYS[5]       -- zset     wake-up token
local events_key = KEYS[6]       -- stream   events of the task
local cancel_channel = KEYS[7]   -- channel  where workers hear of cancellations
local prefix = KEYS[8]           -- prefix   every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock    epoch milliseconds, or empty for the server's clock
local job_id = ARGV[2]           -- str
local reason = ARGV[3]           -- str      may be empty

--@include clock
--@include fields
--@include events
--@include ready
--@include newer
--@include parking
--@include holdings

-- Takes a waiting job out of its place. One that was ready may have been freed: the next of its key gets the chance.
local function withdraw(concurrency_key)
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

local job_key = prefix .. job_id
local fields = redis.call('HMGET', job_key, 'state', 'dedupKey', 'concurrencyKey')
local state = fields[1]

if not state then
  return 0
end
if state == 'completed' or state == 'failed' or state == 'cancelled' or state == 'expired' then
  return 3
end
if reason ~= '' then
  redis.call('HSET', job_key, 'cancelReason', reason)
end
if state == 'active' then
  redis.call('HSET', job_key, 'cancelledAt', now)
  redis.call('PUBLISH', cancel_channel, job_id)
  return 2
end
if state == 'waiting' then
  withdraw(fields[3])
else
  redis.call('ZREM', delayed_key, job_id)
  redis.call('ZREM', NEWER, job_id)
end
redis.call('HSET', job_key, 'state', 'cancelled', 'finishedOn', now)
redis.call('ZADD', cancelled_key, now, job_id)
release_dedup(fields[2], job_id)
emit('cancelled', job_id, 'reason', reason)
return 1
