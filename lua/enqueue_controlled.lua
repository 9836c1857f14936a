-- enqueue_controlled: (none) -> waiting | delayed;  delayed -> (none), replaced
--
-- Called by producers for jobs that ask for flow control. As in `enqueue`, an id that already names a job is left
-- alone, and a call that is sent again admits nothing twice. Each job is decided on in order, so that those of one
-- batch see each other.
--
-- returns: list[list[bytes | int]]  per job {0 id taken | 1 created | 2 throttled | 3 duplicate | 4 gave its payload to
--   the job that waits, id of the job to follow}
-- emits: waiting or delayed, one per created job; debounced
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
local resend = ARGV[4]           -- flag    this call may have been executed before
local JOBS = 5                   -- items   (job_id, data, delay_ms, priority, ttl_ms, lifo, concurrency_key, concurrency_limit, control, control_key, amount, period_ms, states)...

--@include clock
--@include batches
--@include fields
--@include events
--@include ready
--@include newer
--@include create
--@include remembering
--@include admitting
--@include deduplicating

local WIDTH = 13

local function is_pending(id)
  return id and fields_of(prefix .. id, 'state')[1] == 'delayed' and redis.call('ZREM', delayed_key, id) == 1
end

-- Takes the place of the pending job of its key; one that has already been promoted is left to run, and to be retried.
-- A call that is sent again may have been replaced since: it must not take the place of what is newer.
local function debounce(job)
  if resend == '1' and recall(job.id) then
    return { CREATED, job.id }
  end
  local pending_key = prefix .. 'debounce:' .. job.control_key
  local pending = redis.call('GET', pending_key)
  if is_pending(pending) then
    redis.call('DEL', prefix .. pending, prefix .. pending .. ':logs')
    redis.call('ZREM', NEWER, pending)
    remember(pending, job.id)
    emit('debounced', pending, 'replacedBy', job.id)
  end
  job.delay_ms = job.period_ms
  redis.call('SET', pending_key, job.id, 'PX', ms_text(math.max(1, 2 * job.period_ms)))
  return admit(job)
end

-- A fixed window, from the first dispatch that was accepted.
local function throttle(job)
  local counter = prefix .. 'throttle:' .. job.control_key
  local accepted = tonumber(redis.call('GET', counter) or '0') or 0
  if accepted >= job.amount then
    return { THROTTLED, job.id }
  end
  local admitted = admit(job) -- first, since it may fail
  if accepted == 0 then
    redis.call('SET', counter, '1', 'PX', ms_text(job.period_ms))
  else
    redis.call('INCR', counter)
  end
  return admitted
end

local CONTROLS = {
  debounce = debounce,
  throttle = throttle,
  deduplicate = deduplicate,
  deduplicate_for = deduplicate_for,
  keep_latest = keep_latest,
}

local function read_job(i)
  local job = {
    id = ARGV[i], data = ARGV[i + 1], delay_ms = tonumber(ARGV[i + 2]), priority = tonumber(ARGV[i + 3]),
    ttl_ms = tonumber(ARGV[i + 4]), lifo = ARGV[i + 5] == '1', control = ARGV[i + 8], control_key = ARGV[i + 9],
    amount = tonumber(ARGV[i + 10]), period_ms = tonumber(ARGV[i + 11]), states = ARGV[i + 12], extra = {},
  }
  if ARGV[i + 6] ~= '' then
    job.extra = { 'concurrencyKey', ARGV[i + 6], 'concurrencyLimit', ARGV[i + 7] }
    if ARGV[i + 7] == '0' then -- nobody said: 1 for programs that know nothing else, the worker's own limit for ours
      job.extra = { 'concurrencyKey', ARGV[i + 6], 'concurrencyLimit', '1', 'py:defaultLimit', '1' }
    end
  end
  return job
end

-- The record that stands under the id was written by an earlier execution of this call; a later dispatch may have
-- given it another payload.
local function is_ours(job)
  local fields = fields_of(prefix .. job.id, 'data', 'py:carries')
  return resend == '1' and (fields[1] == job.data or (fields[2] and true))
end

local replies = {}
for i = JOBS, #ARGV, WIDTH do
  local job = read_job(i)
  local control = CONTROLS[job.control]
  if redis.call('EXISTS', prefix .. job.id) == 1 then
    replies[#replies + 1] = { is_ours(job) and CREATED or TAKEN, job.id }
  elseif control then
    replies[#replies + 1] = control(job)
  else
    replies[#replies + 1] = admit(job)
  end
end

line_up_created()
return replies
