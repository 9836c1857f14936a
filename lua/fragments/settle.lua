-- How attempts ended, unless all are plain jobs that completed. Every write is fenced: only the token stored in the
-- job's lease may settle it.
-- needs: active_key, completed_key, failed_key, cancelled_key, stalled_key, prefix, resend, now, OUTCOMES
-- needs: setbacks, seldom, failing, fields_of, emit, in_batches, looked_up, count_finished, count_text

local PLAIN_FIELDS, PLAIN, GONE = 8, {}, {}
local ENDS = { completed = completed_key, failed = failed_key, cancelled = cancelled_key }
local ending = { completed = {}, failed = {}, cancelled = {} } -- outcomes of jobs that are listed so
local leaving = {} -- ids of jobs that are no longer active, in order and as names

-- What became of an outcome, and if the job leaves the active ones, what of its record the end has to know. Nothing is
-- written yet.
local function judge(outcome, holder)
  local LOST, SETTLED, CANCEL_REQUESTED, REPEATED = '0', '1', '2', '3'
  if leaving[outcome.id] or holder ~= outcome.token then
    return resend == '1' and REPEATED or LOST
  end
  if outcome.is_plain and redis.pcall('HLEN', outcome.job_key) == PLAIN_FIELDS then
    return SETTLED, PLAIN
  end
  local fields = fields_of(outcome.job_key, 'attempt', 'cancelledAt', 'state', 'concurrencyKey', 'dedupKey', '_wf')
  if not fields[3] then -- the job was deleted while it ran: its outcome must not create half a job
    return LOST, GONE
  end
  -- A job that somebody cancelled must not run again: the worker keeps the lease, runs its cancel hook and
  -- settles it as cancelled. A result that is ready or a final failure stands as it is.
  if fields[2] and not ENDS[outcome.kind] then
    return CANCEL_REQUESTED
  end
  return SETTLED, fields
end

-- Each with what becomes of it: 'kind delay_ms+token' is how it ended, or '+token' where a plain job completed.
local function read_outcomes()
  local outcomes, locks, statuses = {}, {}, {}
  for i = OUTCOMES, #ARGV, 3 do
    local kind, delay_ms, token = string.match(ARGV[i], '^(%l*) ?(%d*)%+(.*)$')
    local n, id, job_key = #outcomes + 1, ARGV[i + 1], prefix .. ARGV[i + 1]
    locks[n] = job_key .. ':lock'
    outcomes[n] = {
      kind = kind == '' and 'completed' or kind, is_plain = kind == '', delay_ms = tonumber(delay_ms or '') or 0,
      token = token, id = id, payload = ARGV[i + 2], job_key = job_key, lock_key = locks[n],
    }
  end
  local holders = looked_up(locks, 'MGET')
  for n = 1, #outcomes do
    local outcome = outcomes[n]
    statuses[n], outcome.fields = judge(outcome, holders[n])
    if outcome.fields then
      leaving[outcome.id] = true
      leaving[#leaving + 1] = outcome.id
    end
  end
  return outcomes, table.concat(statuses)
end

-- Of the jobs that were taken off the end of the list, those return that stay; those leave that were not among them.
-- They stand at the right where all take equally long, and at the left of those that run for long. Searching past
-- thousands of the latter would cost more than everything else.
local function correct_active(oldest, ids)
  local SHORT_SEARCH = 128
  local is_listed, missing, staying = {}, #ids, {}
  for i = 1, #ids do
    is_listed[ids[i]] = true
  end
  for i = #oldest, 1, -1 do
    local id = oldest[i]
    if is_listed[id] == nil then
      staying[#staying + 1] = id
    elseif is_listed[id] then -- else it was listed twice, by another program
      is_listed[id] = false
      missing = missing - 1
    end
  end
  in_batches(staying, 'RPUSH', active_key)
  local running = missing > 0 and redis.call('LLEN', active_key)
  for i = 1, #ids do
    if is_listed[ids[i]] then
      local is_among_oldest = running <= SHORT_SEARCH
        or redis.call('LPOS', active_key, ids[i], 'RANK', -1, 'MAXLEN', SHORT_SEARCH)
      redis.call('LREM', active_key, is_among_oldest and '-1' or '1', ids[i])
    end
  end
end

-- What may be refused comes before everything that may not, and each job has its new place before its record changes:
-- an outcome is stored, or nothing of it is.
local function find_place(outcome)
  local fields, together = outcome.fields, ending[outcome.kind]
  if fields == GONE then
    return
  end
  if not together then
    setbacks().queue_again(outcome.id, outcome.kind, outcome.delay_ms)
  else
    if fields[6] then
      seldom().note_end(outcome.id, fields[6])
    end
    together[#together + 1] = outcome
  end
end

local function list_together(kind)
  local outcomes, scored = ending[kind], {}
  if #outcomes == 0 then
    return
  end
  for n = 1, #outcomes do
    scored[2 * n - 1], scored[2 * n] = now, outcomes[n].id
  end
  local is_listed, why = pcall(in_batches, scored, 'ZADD', ENDS[kind])
  if not is_listed then
    failing().refuse(outcomes, why)
  elseif kind ~= 'cancelled' then
    count_finished(kind, #outcomes)
  end
end

local function settle(outcome)
  local id, job_key, fields, kind = outcome.id, outcome.job_key, outcome.fields, outcome.kind
  if fields[4] then
    setbacks().give_slot_back(fields[4])
  end
  if kind ~= 'completed' then
    return setbacks().end_without_result(kind, id, job_key, fields, outcome.payload, outcome.delay_ms)
  end
  redis.call('HSET', job_key, 'state', 'completed', 'finishedOn', now, 'result', outcome.payload)
  if fields[5] or fields[6] then
    setbacks().let_go(id, fields[5], fields[6], outcome.token)
  end
  emit('completed', id, 'attempt', fields == PLAIN and '1' or count_text(fields[1]))
end

-- Returns what became of each outcome.
local function settle_all()
  local outcomes, statuses = read_outcomes()
  if #leaving == 0 then
    redis.call('DEL', prefix .. 'parked:none') -- not there: a replica, which may store no outcome, says of none that it is lost
    return statuses
  end
  -- It comes before every other write: a server that is out of memory permits it, and then permits the rest.
  correct_active(redis.call('RPOP', active_key, #leaving) or {}, leaving)
  for n = 1, #outcomes do
    if outcomes[n].fields then
      local is_placed, why = pcall(find_place, outcomes[n])
      if not is_placed then
        failing().refuse({ outcomes[n] }, why)
      end
    end
  end
  for kind in pairs(ENDS) do
    list_together(kind)
  end
  local locks, ids = {}, {}
  for n = 1, #outcomes do
    local fields = outcomes[n].fields
    if fields then
      locks[#locks + 1], ids[#ids + 1] = outcomes[n].lock_key, outcomes[n].id
      if fields ~= GONE then
        settle(outcomes[n])
      end
    end
  end
  -- Before anything is claimed: a job given back may be claimed again by this very call.
  in_batches(locks, 'DEL')
  pcall(in_batches, ids, 'SREM', stalled_key)
  if #ids < #leaving then
    failing().tell_refusal()
  end
  return statuses
end
