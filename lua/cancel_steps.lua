-- cancel_steps: waiting | delayed | retrying -> cancelled;  active -> active with a cancellation request;
--               (none) -> cancelled
--
-- Called for the jobs of a workflow that has stopped. As `cancel`, but the workflow is not to be told; and a job that was
-- not enqueued yet leaves a record, so that it is not enqueued any more. A job that lives again in a later try of its
-- workflow is left alone: the caller is late. A dead letter that was to be revived in the try that has stopped is not to
-- be any more.
--
-- returns: list[int]  per job: 0 prevented, 1 cancelled, 2 requested from the worker that runs it, 3 it had already ended,
--   or lives again
-- emits: cancelled
--@diagnosed
local wait_key = KEYS[1]         -- list     ready ids, newest left
local prioritized_key = KEYS[2]  -- zset     ready ids with a priority
local delayed_key = KEYS[3]      -- zset     ids by due time
local cancelled_key = KEYS[4]    -- zset     ids by end time
local marker_key = KEYS[5]       -- zset     wake-up token
local events_key = KEYS[6]       -- stream   events of the task
local cancel_channel = KEYS[7]   -- channel  where workers hear of cancellations
local prefix = KEYS[8]           -- prefix   every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock    epoch milliseconds, or empty for the server's clock
local reason = ARGV[2]           -- str      may be empty
local stopped_try = tonumber(ARGV[3])  -- int  the try of the workflow that has stopped
local JOB_IDS = 4                -- items    (job_id)...

--@include clock
--@include fields
--@include numbers
--@include events
--@include ready
--@include newer
--@include parked
--@include naming
--@include parking
--@include holdings
--@include cancelling

local function prevent(job_id)
  redis.call('ZADD', cancelled_key, now, job_id)
  redis.call('HSET', prefix .. job_id, 'ts', now, '_v', '1', 'attempt', '1', 'maxAttempts', '1', 'state', 'cancelled',
    'priority', '0', 'data', 'null', 'finishedOn', now, 'cancelReason', reason)
end

local function cancel_step(job_id)
  local found = fields_of(prefix .. job_id, 'py:try', 'state')
  local lives_in = tonumber(found[1] or '0') or 0
  if lives_in > stopped_try then
    return ENDED
  end
  if found[2] == 'failed' and lives_in < stopped_try then
    redis.call('HSET', prefix .. job_id, 'py:try', string.format('%d', stopped_try))
  end
  return cancel(job_id, reason)
end

local replies = {}
for i = JOB_IDS, #ARGV do
  local reply = cancel_step(ARGV[i])
  if reply == UNKNOWN then
    prevent(ARGV[i])
  end
  replies[#replies + 1] = reply
end
return replies
