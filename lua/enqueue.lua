-- enqueue: (none) -> waiting | delayed
--
-- Called by producers, for one job or a batch of one task. An id that already names a job is left untouched, so
-- a dispatch that is sent again after a lost reply can never run twice; `resend` says that this call is such a
-- repetition, and then an existing job with the same payload counts as created by it.
--
-- returns: list[int]  one flag per job, in order: 1 created, 0 the id was taken
-- emits: waiting or delayed, one per created job
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local delayed_key = KEYS[3]      -- zset    ids by due time
local marker_key = KEYS[4]       -- zset    wake-up token
local events_key = KEYS[5]       -- stream  events of the task
local prefix = KEYS[6]           -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock   epoch milliseconds, or empty for the server's clock
local version = ARGV[2]          -- int     payload version
local max_attempts = ARGV[3]     -- int     total number of runs
local resend = ARGV[4]           -- flag    this call may have been executed before
local JOBS = 5                   -- items   (job_id, data, delay_ms, priority, ttl_ms)...

--@include clock
--@include events
--@include ready

local flags = {}
local any_ready = false
local earliest_due = nil

local function create(id, job_key, data, delay_ms, priority, ttl_ms)
  local fields = {
    'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
    'state', delay_ms > 0 and 'delayed' or 'waiting', 'priority', string.format('%d', priority), 'data', data,
  }
  if delay_ms > 0 then
    fields[#fields + 1] = 'delay'
    fields[#fields + 1] = ms_text(delay_ms)
  end
  if ttl_ms > 0 then
    fields[#fields + 1] = 'expireAt'
    fields[#fields + 1] = ms_text(now_ms + ttl_ms)
  end
  redis.call('HSET', job_key, unpack(fields))
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    if not earliest_due or due < earliest_due then
      earliest_due = due
    end
    emit('delayed', id)
  else
    push_ready(id, priority, now_ms)
    any_ready = true
    emit('waiting', id)
  end
end

for i = JOBS, #ARGV, 5 do
  local id = ARGV[i]
  local job_key = prefix .. id
  local flag = 1
  if redis.call('EXISTS', job_key) == 1 then
    flag = (resend == '1' and redis.call('HGET', job_key, 'data') == ARGV[i + 1]) and 1 or 0
  else
    create(id, job_key, ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]))
  end
  flags[#flags + 1] = flag
end

if any_ready then
  wake_now()
elseif earliest_due then
  wake_at(earliest_due)
end
return flags
