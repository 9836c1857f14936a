-- retry_dead: failed -> waiting
--
-- Called by operators, for some jobs or for the oldest `limit` when no id is given. A job that is not in the
-- dead-letter queue is left as it is. The new life starts clean: first attempt, no error, no old cancellation, no old
-- stalls, and no time to live, since it did start in time once.
--
-- A step of a workflow is left to those who let its workflow run again: they come back for it, and say in which try that
-- is. One that has lived in that try, or was not to any more, stays dead. A request with an id is remembered for a while, and answered the same when it is sent again.
--
-- returns: tuple[list[bytes], list[bytes]]  the ids that wait again, those of steps that were left alone
-- emits: waiting
--@diagnosed
local wait_key = KEYS[1]          -- list    ready ids, newest left
local prioritized_key = KEYS[2]   -- zset    ready ids with a priority
local failed_key = KEYS[3]        -- zset    ids by end time: the dead-letter queue
local marker_key = KEYS[4]        -- zset    wake-up token
local events_key = KEYS[5]        -- stream  events of the task
local prefix = KEYS[6]            -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]      -- clock   epoch milliseconds, or empty for the server's clock
local offset = tonumber(ARGV[2])  -- int     how many of the oldest to pass over, when no id is given
local limit = tonumber(ARGV[3])   -- int     how many, when no id is given
local workflow_try = tonumber(ARGV[4])  -- int  the try of their workflow in which steps live again; -1 to leave steps alone
local request = ARGV[5]           -- str     id of this request, or empty
local resend = ARGV[6]            -- flag    this call may have been executed before
local JOB_IDS = 7                 -- items   (job_id)...

--@include clock
--@include fields
--@include events
--@include ready
--@include telling
--@include remembering

local function words(text)
  local found = {}
  for word in string.gmatch(text, '[^ ]+') do
    found[#found + 1] = word
  end
  return found
end

local answered = resend == '1' and request ~= '' and recall(request)
if answered then
  local revived, steps = string.match(answered, '^(.*)|(.*)$')
  return { words(revived), words(steps) }
end

local ids = {}
if #ARGV < JOB_IDS then
  ids = redis.call('ZRANGE', failed_key, '-inf', '+inf', 'BYSCORE', 'LIMIT', offset, math.max(limit, 0))
else
  for i = JOB_IDS, #ARGV do
    ids[#ids + 1] = ARGV[i]
  end
end

local function is_due(lived_in)
  return workflow_try <= 0 or (tonumber(lived_in or '0') or 0) < workflow_try
end

local refusal = nil

-- Moves a job to the ready ones, and returns whether it is there. One that finds no place, or is no record, stays dead;
-- of a ghost nothing stays.
local function revive(id, fields)
  local ended_ms = not refusal and redis.call('ZSCORE', failed_key, id)
  local size = redis.pcall('HLEN', prefix .. id)
  if not ended_ms or type(size) == 'table' then
    return false
  end
  redis.call('ZREM', failed_key, id)
  if size == 0 then
    return false
  end
  local is_ready, why = pcall(push_ready, id, tonumber(fields[3] or '0') or 0, now_ms)
  if not is_ready then
    redis.call('ZADD', failed_key, ended_ms, id)
    refusal = why
  end
  return is_ready
end

local revived, steps = {}, {}
for _, id in ipairs(ids) do
  local job_key = prefix .. id
  local fields = fields_of(job_key, '_wf', 'py:try', 'priority')
  local link, lived_in = fields[1], fields[2]
  if workflow_try < 0 and link and link ~= '' then
    if redis.call('ZSCORE', failed_key, id) then
      steps[#steps + 1] = id
    end
  elseif is_due(lived_in) and revive(id, fields) then
    redis.call('HDEL', job_key, 'error', 'finishedOn', 'result', 'cancelledAt', 'cancelReason', 'stalledCount',
      'expireAt')
    redis.call('HSET', job_key, 'state', 'waiting', 'attempt', '1', 'ts', now)
    if workflow_try > 0 then
      redis.call('HSET', job_key, 'py:try', string.format('%d', workflow_try))
    end
    emit('waiting', id)
    redis.pcall('ZREM', UNTOLD, id)
    revived[#revived + 1] = id
  end
end
if #revived > 0 then
  wake_now()
end
if refusal then
  error(refusal)
end
if request ~= '' then
  remember(request, table.concat(revived, ' ') .. '|' .. table.concat(steps, ' '))
end
return { revived, steps }
