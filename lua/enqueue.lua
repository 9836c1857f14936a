-- enqueue: (none) -> waiting | delayed
--
-- Called by producers, for one job or a batch of one task. An id that already names a job is left untouched, so
-- a dispatch that is sent again after a lost reply can never run twice; `resend` says that this call is such a
-- repetition, and then an existing job with the same payload counts as created by it.
--
-- returns: list[int]  nothing if all jobs were created; else one flag per job, in order: 1 created, 0 the id was taken
-- emits: waiting or delayed, one per created job
--@diagnosed
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
--@include events

-- The copy of a record with another payload costs the server half of a new record. It keeps payloads up to SHORT in
-- another form than longer ones, so each form has a model of its own; one above LONG is not worth a copy.
local SHORT, LONG = 64, 1024

--@others batches ready create terms

local WIDTH = 2
-- The jobs that were not created, by the place of their id among the arguments: whether to say so. Mostly there are none.
local taken = nil

if has_terms == '1' then
  WIDTH = 3
  taken = others().create_with_terms(JOBS, SHORT, LONG)
else
  local call, attempt = redis.call, redis.pcall
  local ids = {}
  local count = 0
  local short_model, long_model = nil, nil
  for i = JOBS, #ARGV, WIDTH do
    local id, data = ARGV[i], ARGV[i + 1]
    local job_key = prefix .. id
    local size = #data
    local model = size <= SHORT and short_model or size <= LONG and long_model
    -- 1: the record is there now, 0: it was before. Else there is no model, or the user of the server may not copy.
    local copies = model and attempt('COPY', model, job_key)
    if copies == 0 or copies ~= 1 and call('EXISTS', job_key) == 1 then
      taken = taken or {}
      taken[i] = resend ~= '1' or call('HGET', job_key, 'data') ~= data
    else
      if copies == 1 then
        call('HSET', job_key, 'data', data)
      else
        call('HSET', job_key, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
          'state', 'waiting', 'priority', '0', 'data', data)
        if size <= SHORT then
          short_model = job_key
        elseif size <= LONG then
          long_model = job_key
        end
      end
      if count == 0 then
        emit('waiting', id)
      else
        attempt('XADD', events_key, '*', 'event', 'waiting', 'jobId', id) -- as `emit` does, which costs more
      end
      count = count + 1
      ids[count] = id
    end
  end
  if count > 0 then
    local listed = count <= 1000 and attempt('LPUSH', wait_key, unpack(ids)) or others().list_many(ids)
    if type(listed) ~= 'number' then
      others().undo_created(ids, listed)
    end
    attempt('ZADD', marker_key, '0', '0')
  end
end

local flags = {}
if taken then
  for i = JOBS, #ARGV, WIDTH do
    flags[#flags + 1] = taken[i] and 0 or 1
  end
end
return flags
