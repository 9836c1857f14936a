-- cancel: waiting | delayed | retrying -> cancelled;  active -> active with a cancellation request
--
-- Called by anybody. A job that has ended, or never existed, is left as it is. The worker that runs an active job is
-- told by a message, and again by its next lease renewal; it then settles the job as cancelled. Asking twice changes
-- nothing but the time of the request. Of a call that is sent again, a job that was cancelled for the same reason counts
-- as cancelled by it.
--
-- returns: int  0 no such job, 1 cancelled, 2 requested from the worker that runs it, 3 it had already ended
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
local job_id = ARGV[2]           -- str
local reason = ARGV[3]           -- str      may be empty
local resend = ARGV[4]           -- flag     this call may have been executed before

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
--@include telling
--@include cancelling

local reply = cancel(job_id, reason)
if reply == CANCELLED then
  note_end(job_id, redis.call('HGET', prefix .. job_id, '_wf'))
elseif reply == ENDED and resend == '1' then
  local found = fields_of(prefix .. job_id, 'state', 'cancelReason')
  if found[1] == 'cancelled' and (found[2] or '') == reason then
    return CANCELLED
  end
end
return reply
