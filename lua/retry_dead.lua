-- retry_dead: failed -> waiting
--
-- Called by operators, for one job or for the oldest `limit` when no id is given. A job that is not in the
-- dead-letter queue is left as it is. The new life starts clean: first attempt, no error, no old cancellation, no old
-- stalls, and no time to live, since it did start in time once.
--
-- returns: list[bytes]  the ids that wait again
-- emits: waiting
local wait_key = KEYS[1]          -- list    ready ids, newest left
local prioritized_key = KEYS[2]   -- zset    ready ids with a priority
local failed_key = KEYS[3]        -- zset    ids by end time: the dead-letter queue
local marker_key = KEYS[4]        -- zset    wake-up token
local events_key = KEYS[5]        -- stream  events of the task
local prefix = KEYS[6]            -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]      -- clock   epoch milliseconds, or empty for the server's clock
local job_id = ARGV[2]            -- str     one job, or empty for the oldest
local limit = tonumber(ARGV[3])   -- int     how many, when no id is given

--@include clock
--@include events
--@include ready
--@include telling

local ids = job_id ~= '' and { job_id } or redis.call('ZRANGE', failed_key, '-inf', '+inf', 'BYSCORE', 'LIMIT', 0,
  math.max(limit, 0))
local revived = {}
for _, id in ipairs(ids) do
  local job_key = prefix .. id
  if redis.call('ZREM', failed_key, id) == 1 and redis.call('EXISTS', job_key) == 1 then
    redis.call('HDEL', job_key, 'error', 'finishedOn', 'result', 'cancelledAt', 'cancelReason', 'stalledCount',
      'expireAt')
    redis.call('HSET', job_key, 'state', 'waiting', 'attempt', '1', 'ts', now)
    push_ready(id, tonumber(redis.call('HGET', job_key, 'priority') or '0') or 0, now_ms)
    emit('waiting', id)
    redis.call('ZREM', UNTOLD, id)
    revived[#revived + 1] = id
  end
end
if #revived > 0 then
  wake_now()
end
return revived
