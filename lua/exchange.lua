-- exchange: active -> completed | retrying | failed | cancelled | waiting | delayed;
--           delayed, retrying -> waiting | expired;  waiting -> active | expired
--
-- Called by the lanes of a worker: one round trip settles every attempt that ended and claims as many jobs as there
-- are free slots. A late caller, whose lease went to somebody else, gets 0 for that job and changes nothing. When
-- the reply of a call was lost, the caller sends it again with `resend` and gets the jobs it had already claimed.
--
-- returns: ExchangeReply
--   {now_ms, earliest_due_ms or -1, {0 lost | 1 settled | 2 cancel requested, lease kept | 3 repeated}...,
--    {{job_id, data, version, attempt, ts}...}}
-- emits: completed, retrying, failed, cancelled, waiting; promoted, expired; active
local wait_key = KEYS[1]          -- list    ready ids, newest left
local prioritized_key = KEYS[2]   -- zset    ready ids with a priority
local active_key = KEYS[3]        -- list    claimed ids
local delayed_key = KEYS[4]       -- zset    ids by due time
local completed_key = KEYS[5]     -- zset    ids by end time
local failed_key = KEYS[6]        -- zset    ids by end time: the dead-letter queue
local cancelled_key = KEYS[7]     -- zset    ids by end time
local expired_key = KEYS[8]       -- zset    ids by end time
local stalled_key = KEYS[9]       -- set     candidates of the stall sweep
local marker_key = KEYS[10]       -- zset    wake-up token
local events_key = KEYS[11]       -- stream  events of the task
local prefix = KEYS[12]           -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]      -- clock   epoch milliseconds, or empty for the server's clock
local token = ARGV[2]             -- str     fencing token of the jobs claimed by this call
local lease_ms = ARGV[3]          -- int     lifetime of a lease
local slots = tonumber(ARGV[4])   -- int     how many jobs the lane can take
local on_expire = ARGV[5]         -- str     fail | discard
local resend = ARGV[6]            -- flag    this call may have been executed before
local max_version = tonumber(ARGV[7])  -- int   newest payload version that this worker understands
local limits = ARGV[8]            -- str     what few workers ask for, or empty: see the fragment of that name
local OUTCOMES = 9                -- items   (kind, job_id, token, payload, delay_ms)...

-- Found out in the middle of the work, this would lose the jobs that were just popped.
if tonumber(lease_ms) < 1 then
  return redis.error_reply('ERR lease_ms must be at least 1')
end

local seldom -- what follows at the end of the definitions
local moved_delayed = false -- whether the first delayed job may be another than at the beginning
local paced_until = nil

--@include clock
--@include batches
--@include fields
--@include events
--@include newer
--@include parked
--@include looking_up
--@include throughput
--@include settle
--@include claim

--@seldom limits ready parking rechecking holdings telling setbacks collecting draining expire hindrances promote
--@seldom running pacing reclaim

local statuses = {}
if #ARGV >= OUTCOMES then
  local lock_keys = {}
  for i = OUTCOMES, #ARGV, 5 do
    lock_keys[#lock_keys + 1] = prefix .. ARGV[i + 1] .. ':lock'
  end
  local holders = looked_up(lock_keys, 'MGET')
  for n = 1, #holders do
    local i = OUTCOMES + 5 * (n - 1)
    statuses[n] = settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], holders[n])
  end
end

-- Before anything is claimed: a job given back may be claimed again by this very call.
if #settled > 0 then
  in_batches(settled_locks, 'DEL')
  in_batches(settled, 'SREM', stalled_key)
  in_batches(completed, 'ZADD', completed_key)
  count_finished('completed', #completed / 2)
  if #completed < 2 * #settled then
    seldom().flush_setbacks()
  end
end

-- One look each is enough where nothing is due, and where nothing is parked.
local next_due = redis.call('ZRANGE', delayed_key, 0, 0, 'WITHSCORES')
if next_due[2] and tonumber(next_due[2]) <= now_ms then
  seldom().promote_due()
  moved_delayed = true
end
local parks = redis.call('EXISTS', FREED, PARKED_KEYS, NEWER) > 0
if parks then
  seldom().take_newer()
  seldom().recheck_parked()
end
if resend == '1' then
  seldom().reclaim_own()
end
local reclaimed = #claims
if limits ~= '' then
  slots = seldom().paced(slots - reclaimed) + reclaimed
end
-- Priorities are strict: the prioritized set is emptied first, highest priority first.
claim_from(prioritized_key, slots)
if parks then
  seldom().claim_freed(slots)
end
claim_from(wait_key, slots)
in_batches(started, 'LPUSH', active_key)
if limits ~= '' then
  seldom().count_starts(reclaimed + 1)
end

if parks or moved_delayed then
  next_due = redis.call('ZRANGE', delayed_key, 0, 0, 'WITHSCORES')
end
local due_ms = next_due[2] and tonumber(next_due[2]) or -1
if redis.call('EXISTS', wait_key, prioritized_key, FREED) > 0 then
  -- Jobs that may not start before a known instant: looking at once would spin.
  redis.call('ZADD', marker_key, paced_until and ms_text(paced_until) or '0', '0')
elseif due_ms >= 0 then
  redis.call('ZADD', marker_key, ms_text(due_ms), '0')
end
return { now_ms, due_ms, statuses, claims }
