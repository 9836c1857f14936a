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
--    (job_id, data, version, attempt or '' for a plain job, ts)...}
-- emits: completed, retrying, failed, cancelled, waiting; promoted, expired; active
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
local max_version = tonumber(ARGV[7])  -- int   newest payload version that this worker understands
local limits = ARGV[8]            -- str     what few workers ask for, or empty: see the fragment of that name
local OUTCOMES = 9                -- items   (ending, job_id, payload)...

-- Found out in the middle of the work, this would lose the jobs that were just popped.
if tonumber(lease_ms) < 1 then
  return redis.error_reply('ERR lease_ms must be at least 1')
end

local others -- what plain jobs do not need, and
local seldom -- what few jobs do: they follow at the end of the definitions
local moved_delayed = false -- whether the first delayed job may be another than at the beginning
local paced_until = nil
local leaving = {}   -- jobs that are no longer active: ids in order, and of each whether it is in the list yet
local completed = {} -- score and id in turn

--@include clock
--@include batches
--@include fields
--@include events
--@include newer
--@include parked
--@include looking_up
--@include throughput
--@include claim

--@others settle claim_others reclaim
--@seldom limits ready parking rechecking holdings telling setbacks collecting draining expire hindrances promote
--@seldom running pacing

local statuses = {}
if #ARGV >= OUTCOMES then
  local SETTLED, PLAIN, PLAIN_FIELDS = '1', {}, 8
  local lock_keys, records, settled_locks = {}, {}, {}
  for i = OUTCOMES, #ARGV, 3 do
    lock_keys[#lock_keys + 1] = prefix .. ARGV[i + 1] .. ':lock'
  end
  local holders = looked_up(lock_keys, 'MGET')
  for n = 1, #holders do
    local i = OUTCOMES + 3 * (n - 1)
    local id, holder, status, record = ARGV[i + 1], holders[n], SETTLED, PLAIN
    -- The claim saw a record with nothing but what every record has, and nothing was added: no more needs to be read.
    local is_plain = holder and ARGV[i] == '+' .. holder and not leaving[id]
      and redis.pcall('HLEN', prefix .. id) == PLAIN_FIELDS
    if not is_plain then
      status, record = others().judge(ARGV[i], id, holder)
    end
    statuses[n], records[n] = status, record
    if record then
      leaving[id] = true
      leaving[#leaving + 1] = id
      settled_locks[#settled_locks + 1] = lock_keys[n]
    end
  end

  if #leaving > 0 then
    -- Those that run for longest mostly end first: they are taken off the end at once.
    -- It comes before every other write: a server that is out of memory permits it, and then permits the rest.
    local oldest, found = redis.call('RPOP', active_key, #leaving == 1 and '1' or #leaving) or {}, 0
    for i = 1, #oldest do
      if leaving[oldest[i]] then
        leaving[oldest[i]] = false
        found = found + 1
      end
    end
    if found < #leaving then
      others().correct_active(oldest)
    end
    for n = 1, #holders do
      local i = OUTCOMES + 3 * (n - 1)
      if records[n] == PLAIN then
        redis.call('HSET', prefix .. ARGV[i + 1], 'state', 'completed', 'finishedOn', now, 'result', ARGV[i + 2])
        completed[#completed + 1] = now
        completed[#completed + 1] = ARGV[i + 1]
        emit('completed', ARGV[i + 1], 'attempt', '1')
      elseif records[n] and statuses[n] == SETTLED then
        others().settle(ARGV[i], ARGV[i + 1], ARGV[i + 2], records[n])
      end
    end
    -- Before anything is claimed: a job given back may be claimed again by this very call.
    in_batches(settled_locks, 'DEL')
    in_batches(leaving, 'SREM', stalled_key)
    in_batches(completed, 'ZADD', completed_key)
    count_finished('completed', #completed / 2)
    if #completed < 2 * #leaving then
      seldom().flush_setbacks()
    end
  end
end

-- One look is enough where nothing is delayed, nothing has a priority, and nothing is parked.
local is_simple = redis.call('EXISTS', delayed_key, prioritized_key, FREED, PARKED_KEYS, NEWER) == 0
local parks = false
local first_due = {}
if not is_simple then
  first_due = redis.call('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
  if first_due[2] and tonumber(first_due[2]) <= now_ms then
    seldom().promote_due()
    moved_delayed = true
  end
  parks = redis.call('EXISTS', FREED, PARKED_KEYS, NEWER) > 0
  if parks then
    seldom().take_newer()
    seldom().recheck_parked()
  end
end
if resend == '1' then
  others().reclaim_own()
  slots = slots - (#reply - HEAD) / 5
end
if limits ~= '' then
  slots = seldom().paced(slots)
end
-- Priorities are strict: the prioritized set is emptied first, highest priority first.
if not is_simple then
  claim_from(prioritized_key, slots)
end
if parks then
  seldom().claim_freed(slots)
end
claim_from(wait_key, slots)
in_batches(started, 'LPUSH', active_key)
if limits ~= '' then
  seldom().count_starts()
end

if parks or moved_delayed then
  first_due = redis.call('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
end
local due_ms = first_due[2] and tonumber(first_due[2]) or -1
if redis.call('EXISTS', wait_key, prioritized_key, FREED) > 0 then
  -- Jobs that may not start before a known instant: looking at once would spin.
  redis.call('ZADD', marker_key, paced_until and ms_text(paced_until) or '0', '0')
elseif due_ms >= 0 then
  redis.call('ZADD', marker_key, ms_text(due_ms), '0')
end
reply[2], reply[3], reply[4] = due_ms, table.concat(statuses), links or ''
return reply
