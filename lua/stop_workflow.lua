-- stop_workflow: running -> failed | cancelled
--
-- Called when a step has failed, when somebody cancels the workflow, and when its time is over. Every step that has not
-- completed ends with it; those that may have a job are returned, for the caller to cancel. Asked again, it returns the
-- same ones, since it is not known whether they were cancelled; a step that ended later has nothing to do with them. A
-- completed workflow, a job that is not the step's any more, and a failure of the time before the job was revived, change
-- nothing; nor does who means another try than the one that runs.
--
-- A try that was announced and did not begin is closed on demand: its number is used up, so that it cannot begin late.
--
-- returns: tuple[bytes, bytes, int, int, list[list[bytes]]]
--   {state or empty if there is no such workflow, task whose events tell of the end or empty if there is nothing to do,
--    the try that it is in, the try in which the job of the step is to be revived or 0, {{task, job_id}...}}
-- emits: nothing
local workflow_key = KEYS[1]       -- hash   the workflow

local given_now_ms = ARGV[1]       -- clock  epoch milliseconds, or empty for the server's clock
local keep_ms = tonumber(ARGV[2])  -- int    lifetime of a stopped workflow
local outcome = ARGV[3]            -- str    failed | cancelled
local step = tonumber(ARGV[4])     -- int    the step that ended so, or -1
local job_id = ARGV[5]             -- str    its job
local message = ARGV[6]            -- str    why
local meant_try = tonumber(ARGV[7])  -- int  the try that is meant, or -1 for any
local job_try = tonumber(ARGV[8])  -- int    the try in which the job was revived, or 0
local closes = ARGV[9]             -- flag   no try that was announced before may begin any more

--@include clock
--@include fields
--@include plans

local function count()
  return tonumber(redis.call('HGET', workflow_key, 'py:count') or #graph_nodes())
end

-- First steps are pending although they have been enqueued, as in every program.
local function may_have_a_job(index, found)
  if index == step then
    return false
  end
  return (found == 'active' and not is_held(index, found)) or (found == 'pending' and #plan_of(index).deps == 0)
end

local function stop()
  local cascade = {}
  for index = 0, count() - 1 do
    local found = field_of(index, 'state')
    if found == 'pending' or found == 'active' then
      if may_have_a_job(index, found) then
        cascade[#cascade + 1] = string.format('%d', index)
      end
      redis.call('HSET', workflow_key, 'n:' .. index .. ':state', outcome)
    end
  end
  redis.call('HSET', workflow_key, 'state', outcome, 'error', message, 'py:finishedAt', now, 'py:cascade',
    table.concat(cascade, ','))
  if step >= 0 then
    redis.call('HSET', workflow_key, 'n:' .. step .. ':error', message)
  end
  redis.call('PEXPIRE', workflow_key, keep_ms)
end

local found = fields_of(workflow_key, 'state', 'py:try', 'py:revive:' .. step)
local state, try, reviving = found[1], tonumber(found[2] or '0') or 0, tonumber(found[3] or '0') or 0

local function nothing(revive)
  return { state or '', '', try, revive or 0, {} }
end

if meant_try >= 0 and meant_try ~= try then
  return nothing()
end
if state == 'running' then
  local plan = step >= 0 and plan_of(step)
  local is_open = step < 0 or (plan and plan.job_id == job_id and field_of(step, 'state') ~= 'completed')
  if not is_open then
    return nothing()
  end
  if reviving > job_try then
    return nothing(reviving)
  end
  stop()
  state = outcome
elseif step >= 0 and not field_of(step, 'error') then
  return nothing() -- a step that did not stop it: whoever did cares for the others
end
local jobs = {}
for _, index in ipairs(numbers(fields_of(workflow_key, 'py:cascade')[1] or '')) do
  local plan = plan_of(index)
  jobs[#jobs + 1] = { plan.task, plan.job_id }
end
if closes == '1' and (state == 'failed' or state == 'cancelled') then
  try = try + 1
  redis.call('HSET', workflow_key, 'py:try', string.format('%d', try))
end
return { state or '', state and told_in() or '', try, 0, jobs }
