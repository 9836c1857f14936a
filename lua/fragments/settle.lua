-- How one attempt ended. Every write is fenced: only the token stored in the job's lease may settle it.
-- needs: active_key, prefix, resend, now, seldom, fields_of, emit

local running = nil -- how many jobs are active, once that was asked
local settled = {}  -- ids in order, and whether an id is among them
local settled_locks = {}
local completed = {} -- score and id in turn

-- Jobs that end stand at the right where all take equally long, and at the left of those that run for long. Searching
-- past thousands of the latter would cost more than everything else.
-- It comes before every other write: a server that is out of memory permits it, and then permits the rest.
local function leave_active(id, job_key)
  local SHORT_SEARCH = 128
  running = running or redis.call('LLEN', active_key)
  local is_among_oldest = running <= SHORT_SEARCH
    or redis.call('LPOS', active_key, id, 'RANK', -1, 'MAXLEN', SHORT_SEARCH)
  redis.call('LREM', active_key, is_among_oldest and '-1' or '1', id)
  settled[id] = true
  settled[#settled + 1] = id
  settled_locks[#settled_locks + 1] = job_key .. ':lock'
end

local function settle(kind, id, token, payload, delay_ms, holder)
  local LOST, SETTLED, CANCEL_REQUESTED, REPEATED = 0, 1, 2, 3
  if settled[id] or holder ~= token then
    return resend == '1' and REPEATED or LOST
  end
  local job_key = prefix .. id
  local fields = fields_of(job_key, 'attempt', 'cancelledAt', 'state', 'concurrencyKey', 'dedupKey', '_wf')
  if not fields[3] then -- the job was deleted while it ran: its outcome must not create half a job
    leave_active(id, job_key)
    return LOST
  end
  -- A job that somebody cancelled must not run again: the worker keeps the lease, runs its cancel hook and
  -- settles it as cancelled. A result that is ready or a final failure stands as it is.
  if fields[2] and (kind == 'retrying' or kind == 'released' or kind == 'declined') then
    return CANCEL_REQUESTED
  end
  leave_active(id, job_key)
  if fields[4] then
    seldom().give_slot_back(fields[4])
  end
  if kind == 'completed' then
    redis.call('HSET', job_key, 'state', 'completed', 'finishedOn', now, 'result', payload)
    completed[#completed + 1] = now
    completed[#completed + 1] = id
    if fields[5] or fields[6] then
      seldom().let_go(id, fields[5], fields[6], token)
    end
    emit('completed', id, 'attempt', fields[1] or '0')
  else
    seldom().end_without_result(kind, id, job_key, fields, payload, tonumber(delay_ms))
  end
  return SETTLED
end
