-- exchange: active -> completed | retrying | failed | cancelled | waiting | delayed;
--           delayed, retrying -> waiting | expired;  waiting -> active | expired
--
-- Called by the lanes of a worker: one round trip settles every attempt that ended and claims as many jobs as there
-- are free slots. A late caller, whose lease went to somebody else, gets 0 for that job and changes nothing. When
-- the reply of a call was lost, the caller sends it again with `resend` and gets the jobs it had already claimed.
--
-- returns: ExchangeReply
--   {now_ms, earliest_due_ms or -1, a digit per outcome: 0 lost | 1 settled | 2 cancel requested, lease kept | 3 repeated,
--    '' or {place among the claims, workflow, step}... of those that are steps,
--    (job_id, data, version, attempt or '' for a plain job, with a '!' if the job has lost a worker, ts)...}
-- emits: completed, retrying, failed, cancelled, waiting; promoted, expired; active
--@diagnosed
local prefix = KEYS[1]                             -- prefix  every key of the task starts with it
local wait_key = prefix .. 'wait'                  -- list    ready ids, newest left
local prioritized_key = prefix .. 'prioritized'    -- zset    ready ids with a priority
local active_key = prefix .. 'active'              -- list    claimed ids
local delayed_key = prefix .. 'delayed'            -- zset    ids by due time
local completed_key = prefix .. 'completed'        -- zset    ids by end time
local failed_key = prefix .. 'failed'              -- zset    ids by end time: the dead-letter queue
local cancelled_key = prefix .. 'cancelled'        -- zset    ids by end time
local expired_key = prefix .. 'expired'            -- zset    ids by end time
local stalled_key = prefix .. 'stalled'            -- set     candidates of the stall sweep
local marker_key = prefix .. 'marker'              -- zset    wake-up token
local events_key = prefix .. 'events'              -- stream  events of the task

local given_now_ms = ARGV[1]      -- clock   epoch milliseconds, or empty for the server's clock
local token = ARGV[2]             -- str     fencing token of the jobs claimed by this call
local lease_ms = ARGV[3]          -- int     lifetime of a lease
local slots = tonumber(ARGV[4])   -- int     how many jobs the lane can take
local on_expire = ARGV[5]         -- str     fail | discard
local resend = ARGV[6]            -- flag    this call may have been executed before
local max_version = ARGV[7]       -- int     newest payload version that this worker understands
local limits = ARGV[8]            -- str     what few workers ask for, or empty: see the fragment of that name
local OUTCOMES = 9                -- items   (ending, job_id, payload)...

-- Found out in the middle of the work, this would lose the jobs that were just popped.
if tonumber(lease_ms) < 1 then
  return redis.error_reply('ERR lease_ms must be at least 1')
end

-- What plain jobs need is in straight code, and what others need in groups of functions: to make a function costs the
-- server as much as a small command, and more for each variable that it shares with the script.
local others, setbacks, seldom, failing

--@include clock

local call, try, given = redis.call, redis.pcall, ARGV
-- Of each claim id, data, version, attempt, ts. The reply is flat, since a table in it costs as much as a small command.
local reply = { now_ms, -1, '', '' }
local started = {} -- ids
-- What the groups know of the script. They add `links` of the claims that are steps: place among the claims, from 0;
-- workflow; step; until when jobs are paced; whether they moved delayed jobs; whether jobs could not be put anywhere.
local state = { now = now, now_ms = now_ms, reply = reply, started = started }

--@others fields batches looking_up events throughput numbers settle claim_others
--@setbacks ready setbacks
--@seldom limits newer parked naming parking rechecking holdings telling collecting draining expire hindrances
--@seldom promote running pacing
--@failing reclaim refusing

--@include completing

--@include starting

return reply
