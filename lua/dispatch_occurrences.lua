-- dispatch_occurrences: (none) -> waiting | delayed
--
-- Called by the scheduler that leads, for runs of one schedule that are due. The ids of the newest thousand are kept
-- apart from their jobs: a run that was dispatched is not dispatched again, whoever asks, and whatever became of its
-- job. A late caller, whose claim is over or withdrawn, changes nothing. So does one that must wait for the end of an
-- earlier run.
--
-- returns: int  how many were created; -1 when the claim does not count; -2 when an earlier run has not ended
-- emits: waiting or delayed, one per created job
--@diagnosed
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local delayed_key = KEYS[3]      -- zset    ids by due time
local marker_key = KEYS[4]       -- zset    wake-up token
local events_key = KEYS[5]       -- stream  events of the task
local prefix = KEYS[6]           -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock   epoch milliseconds, or empty for the server's clock
local version = ARGV[2]          -- int     payload version
local max_attempts = ARGV[3]     -- int     total number of runs
local schedule = ARGV[4]         -- str     name of the schedule
local claimed_until_ms = tonumber(ARGV[5])  -- int   end of the caller's claim
local overlap = ARGV[6]          -- flag    an earlier run may still be under way
local last_job_id = ARGV[7]      -- str     the latest run that the schedule's record knows, or empty
local JOBS = 8                   -- items   (job_id, data, delay_ms, ttl_ms)...

--@include clock
--@include batches
--@include events
--@include ready
--@include create
--@include withdrawn

local REMEMBERED = 1000
local REMEMBER_MS = 7776000000
local NONE = {}
local UNFINISHED = { waiting = true, delayed = true, retrying = true, active = true }

if now_ms > claimed_until_ms or redis.call('EXISTS', withdrawn_key(schedule, claimed_until_ms)) == 1 then
  return -1
end

local dispatched_key = prefix .. 'occurrences:' .. schedule .. ':ids'

local function is_under_way(id)
  return id and id ~= '' and UNFINISHED[redis.call('HGET', prefix .. id, 'state') or '']
end

local new = {}
for i = JOBS, #ARGV, 4 do
  if not redis.call('LPOS', dispatched_key, ARGV[i]) then
    new[#new + 1] = i
  end
end
if #new == 0 then
  return 0
end
if overlap == '0' and (is_under_way(last_job_id) or is_under_way(redis.call('LINDEX', dispatched_key, 0))) then
  return -2
end

local created = 0
for _, i in ipairs(new) do
  if redis.call('EXISTS', prefix .. ARGV[i]) == 0 then
    create(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), 0, tonumber(ARGV[i + 3]), false, NONE)
    created = created + 1
  end
end
line_up_created()
for _, i in ipairs(new) do
  redis.call('LPUSH', dispatched_key, ARGV[i])
end
redis.call('LTRIM', dispatched_key, 0, REMEMBERED - 1)
redis.call('PEXPIRE', dispatched_key, REMEMBER_MS)
return created
