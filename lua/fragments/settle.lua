-- How attempts ended, unless plain jobs completed. Every write is fenced: only the token stored in the job's lease may
-- settle it.
-- needs: active_key, prefix, resend, now, seldom, fields_of, emit, in_batches, leaving, completed

local LOST, SETTLED, CANCEL_REQUESTED, REPEATED = '0', '1', '2', '3'
local GONE = {}

-- 'kind delay_ms+token', or '+token' where a plain job completed.
local function read_ending(ending)
  local kind, delay_ms, token = string.match(ending, '^(%l*) ?(%d*)%+(.*)$')
  return kind == '' and 'completed' or kind, delay_ms, token
end

-- Whether an outcome counts; and if the job leaves the active ones, what of its record the end has to know. Nothing is
-- written yet.
local function judge(ending, id, holder)
  local kind, _, token = read_ending(ending)
  if leaving[id] or holder ~= token then
    return resend == '1' and REPEATED or LOST
  end
  local fields = fields_of(prefix .. id, 'attempt', 'cancelledAt', 'state', 'concurrencyKey', 'dedupKey', '_wf')
  if not fields[3] then -- the job was deleted while it ran: its outcome must not create half a job
    return LOST, GONE
  end
  -- A job that somebody cancelled must not run again: the worker keeps the lease, runs its cancel hook and
  -- settles it as cancelled. A result that is ready or a final failure stands as it is.
  if fields[2] and (kind == 'retrying' or kind == 'released' or kind == 'declined') then
    return CANCEL_REQUESTED
  end
  return SETTLED, fields
end

-- Jobs that end stand at the right where all take equally long, and at the left of those that run for long. Searching
-- past thousands of the latter would cost more than everything else.
local function remove_running(id, running)
  local SHORT_SEARCH = 128
  local is_among_oldest = running <= SHORT_SEARCH
    or redis.call('LPOS', active_key, id, 'RANK', -1, 'MAXLEN', SHORT_SEARCH)
  redis.call('LREM', active_key, is_among_oldest and '-1' or '1', id)
end

-- Of the jobs that were taken off the end of the list, those return that stay; those leave that were not among them.
local function correct_active(oldest)
  local staying = {}
  for i = #oldest, 1, -1 do
    if leaving[oldest[i]] == nil then
      staying[#staying + 1] = oldest[i]
    end
  end
  in_batches(staying, 'RPUSH', active_key)
  local running = redis.call('LLEN', active_key)
  for i = 1, #leaving do
    if leaving[leaving[i]] then
      remove_running(leaving[i], running)
    end
  end
end

local function settle(ending, id, payload, fields)
  local job_key = prefix .. id
  local kind, delay_ms, token = read_ending(ending)
  if fields[4] then
    seldom().give_slot_back(fields[4])
  end
  if kind ~= 'completed' then
    return seldom().end_without_result(kind, id, job_key, fields, payload, tonumber(delay_ms))
  end
  redis.call('HSET', job_key, 'state', 'completed', 'finishedOn', now, 'result', payload)
  completed[#completed + 1] = now
  completed[#completed + 1] = id
  if fields[5] or fields[6] then
    seldom().let_go(id, fields[5], fields[6], token)
  end
  emit('completed', id, 'attempt', fields[1] or '0')
end
