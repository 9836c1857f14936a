-- cancel_step: waiting | delayed | retrying -> cancelled;  active -> active with a cancellation request;
--              (none) -> cancelled
--
-- Called for the jobs of a workflow that has stopped. As `cancel`, but the workflow is not to be told; and a job that was
-- not enqueued yet leaves a record, so that it is not enqueued any more.
--
-- returns: int  0 prevented, 1 cancelled, 2 requested from the worker that runs it, 3 it had already ended
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
--@include parked
--@include parking
--@include holdings
--@include cancelling

local function prevent()
  redis.call('HSET', prefix .. job_id, 'ts', now, '_v', '1', 'attempt', '1', 'maxAttempts', '1', 'state', 'cancelled',
    'priority', '0', 'data', 'null', 'finishedOn', now, 'cancelReason', reason)
  redis.call('ZADD', cancelled_key, now, job_id)
end

local reply = cancel(job_id, reason)
if reply == 0 then
  prevent()
end
return reply
