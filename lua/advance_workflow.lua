-- advance_workflow: running -> running | completed
--
-- Called by whoever settled jobs of a workflow, or found that nobody told it of their ends. Steps whose every input is
-- there become active and are returned, to be enqueued. Told again of a step, it returns the steps after it that are
-- active still, since it is not known whether they were enqueued. A step is completed once everything it spawned is: that
-- is what the attempt planned whose result was stored, by the token of its claim; what others planned is dropped. A job
-- that is not the step's any more, and a workflow that does not run, change nothing.
--
-- returns: tuple[bytes, bytes, list[list[bytes]]]
--   {state or empty if there is no such workflow, task whose events tell of the end,
--    {{step, task, job_id, version, data}...}}
-- emits: nothing
local workflow_key = KEYS[1]       -- hash   the workflow

local given_now_ms = ARGV[1]       -- clock  epoch milliseconds, or empty for the server's clock
local keep_ms = tonumber(ARGV[2])  -- int    lifetime of a completed workflow
local STEPS = 3                    -- items  (step, job_id, settled_by, result)...

--@include clock
--@include fields
--@include plans
--@include choosing

local state = fields_of(workflow_key, 'state')[1]
if state ~= 'running' then
  return { state or '', state and told_in() or '', {} }
end

local ready, reported = {}, {}
local anything_completed = false

local function result_of(step)
  local result = field_of(step, 'result')
  return result and result ~= '' and result or 'null'
end

-- What is missing is likely to be late in the list: steps start in order.
local function all_completed(steps)
  for i = #steps, 1, -1 do
    if field_of(steps[i], 'state') ~= 'completed' then
      return false
    end
  end
  return true
end

local function input_of(step, plan)
  if plan.input == '-' then
    return graph_nodes()[step + 1].data
  end
  return (string.gsub(plan.input, '%d+', result_of))
end

local function report(step, plan)
  if not reported[step] then
    reported[step] = true
    ready[#ready + 1] = { string.format('%d', step), plan.task, plan.job_id, plan.version, input_of(step, plan) }
  end
end

local function start(step, plan, again)
  local found = field_of(step, 'state')
  if found == 'pending' then
    redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'active')
    report(step, plan)
  elseif found == 'active' and again and not is_held(step, found) then
    report(step, plan)
  end
end

local function all_spawned_completed(step)
  local spawned = redis.call('HGET', workflow_key, 'py:spawned:' .. step)
  return not spawned or all_completed(numbers(spawned))
end

local function complete(step, result, again)
  local plan = plan_of(step)
  if not all_spawned_completed(step) then
    redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'active', 'n:' .. step .. ':result', result)
    for _, follower in ipairs(plan.followers) do
      local spawned = plan_of(follower)
      if spawned.parent == step then
        start(follower, spawned, again)
      end
    end
    return
  end
  redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'completed', 'n:' .. step .. ':result', result)
  anything_completed = true
  for _, follower in ipairs(plan.followers) do
    local following = plan_of(follower)
    if all_completed(following.deps) then
      start(follower, following, again)
    end
  end
  if plan.parent and is_held(plan.parent, field_of(plan.parent, 'state')) and all_spawned_completed(plan.parent) then
    complete(plan.parent, field_of(plan.parent, 'result'), again)
  end
end

for i = STEPS, #ARGV, 4 do
  local step = tonumber(ARGV[i])
  local plan = plan_of(step)
  if plan and plan.job_id == ARGV[i + 1] then
    local found = field_of(step, 'state')
    local again = found == 'completed' or is_held(step, found)
    if again or found == 'pending' or found == 'active' then
      if not again then
        choose_plan(step, ARGV[i + 2])
      end
      complete(step, again and field_of(step, 'result') or ARGV[i + 3], again)
    end
  end
end

local function finish()
  local results = {}
  for i, step in ipairs(terminals()) do
    results[i] = result_of(step)
  end
  state = 'completed'
  redis.call('HSET', workflow_key, 'state', state, 'py:finishedAt', now, 'result',
    #results == 1 and results[1] or '[' .. table.concat(results, ',') .. ']')
  redis.call('PEXPIRE', workflow_key, keep_ms)
end

if anything_completed and all_completed(terminals()) then
  finish()
end
return { state, state == 'completed' and told_in() or '', ready }
