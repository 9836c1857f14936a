-- enqueue: (none) -> waiting | delayed
--
-- Called by producers, for one job or a batch of one task. An id that already names a job is left untouched, so
-- a dispatch that is sent again after a lost reply can never run twice; `resend` says that this call is such a
-- repetition, and then an existing job with the same payload counts as created by it.
--
-- returns: list[int]  one flag per job, in order: 1 created, 0 the id was taken
-- emits: waiting or delayed, one per created job
local prefix = KEYS[1]                           -- prefix  every key of the task starts with it
local wait_key = prefix .. 'wait'                -- list    ready ids, newest left
local prioritized_key = prefix .. 'prioritized'  -- zset    ready ids with a priority
local delayed_key = prefix .. 'delayed'          -- zset    ids by due time
local marker_key = prefix .. 'marker'            -- zset    wake-up token
local events_key = prefix .. 'events'            -- stream  events of the task

local given_now_ms = ARGV[1]     -- clock   epoch milliseconds, or empty for the server's clock
local version = ARGV[2]          -- int     payload version
local max_attempts = ARGV[3]     -- int     total number of runs
local resend = ARGV[4]           -- flag    this call may have been executed before
local has_terms = ARGV[5]        -- flag    each job says more than that it is to run
local JOBS = 6                   -- items   (job_id, data, and if so, terms: empty, or 'delay_ms priority ttl_ms')...

local others -- what follows at the end of the definitions: what plain jobs do not need

--@include clock
--@include batches
--@include events

--@others ready create terms

local WIDTH = has_terms == '1' and 3 or 2
local flags = {}
local job_keys = {}
local created = {}
local plain_ids = {}

for i = JOBS, #ARGV, WIDTH do
  job_keys[#job_keys + 1] = prefix .. ARGV[i]
end

-- Ids that are taken are rare: one look for the whole batch finds out whether to look at each.
local taken = 0
for first = 1, #job_keys, 1000 do
  taken = taken + redis.call('EXISTS', unpack(job_keys, first, math.min(first + 999, #job_keys)))
end

for n = 1, #job_keys do
  local i = JOBS + WIDTH * (n - 1)
  local id, data, job_key = ARGV[i], ARGV[i + 1], job_keys[n]
  flags[n] = 1
  if created[id] or (taken > 0 and redis.call('EXISTS', job_key) == 1) then
    flags[n] = (resend == '1' and redis.call('HGET', job_key, 'data') == data) and 1 or 0
  elseif has_terms == '1' then
    others().create_as(id, data, ARGV[i + 2])
  else
    redis.call('HSET', job_key, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', 'waiting', 'priority', '0', 'data', data)
    emit('waiting', id)
    plain_ids[#plain_ids + 1] = id
  end
  created[id] = true
end

if has_terms == '1' then
  others().line_up_created()
elseif #plain_ids > 0 then
  in_batches(plain_ids, 'LPUSH', wait_key)
  redis.call('ZADD', marker_key, '0', '0')
end
return flags
