-- What a workflow's graph says about one step. We store a line per step beside the graph, so that nothing has to read a
-- large graph for one step's sake; workflows that other programs made have only the graph.
-- needs: workflow_key

local nodes = nil
local followers = nil
local plans = {}

local function graph_nodes()
  if not nodes then
    local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
    nodes = known and type(graph) == 'table' and graph.nodes or {}
  end
  return nodes
end

local function numbers(text)
  local found = {}
  for number in string.gmatch(text, '%d+') do
    found[#found + 1] = tonumber(number)
  end
  return found
end

local function texts(list)
  local found = {}
  for i, number in ipairs(list) do
    found[i] = string.format('%d', number)
  end
  return found
end

local function followers_of(step)
  if not followers then
    followers = {}
    for index, node in ipairs(graph_nodes()) do
      for _, dep in ipairs(node.deps) do
        followers[dep] = followers[dep] or {}
        table.insert(followers[dep], index - 1)
      end
    end
  end
  return followers[step] or {}
end

local function plan_from_graph(step)
  local node = graph_nodes()[step + 1]
  if not node then
    return false
  end
  local input = '-'
  if type(node.data) ~= 'string' then
    local deps = texts(node.deps)
    input = #deps == 1 and deps[1] or '[' .. table.concat(deps, ',') .. ']'
  end
  return { job_id = node.jobId, version = string.format('%d', node._v), deps = node.deps, followers = followers_of(step),
    input = input, task = node.taskName }
end

-- job_id version deps followers input parent task: lists are joined by commas, '-' is nothing.
local function plan_from_line(line)
  local job_id, version, deps, following, input, parent, task =
    string.match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.+)$')
  return { job_id = job_id, version = version, deps = numbers(deps), followers = numbers(following), input = input,
    parent = tonumber(parent), task = task }
end

-- nil for a step that does not exist.
local function plan_of(step)
  local plan = plans[step]
  if plan == nil then
    local line = redis.call('HGET', workflow_key, 'py:plan:' .. step)
    plan = line and plan_from_line(line) or plan_from_graph(step)
    plans[step] = plan
  end
  return plan or nil
end

local function field_of(step, name)
  return redis.call('HGET', workflow_key, 'n:' .. step .. ':' .. name)
end

local function terminals()
  local line = redis.call('HGET', workflow_key, 'py:terminal')
  if line then
    return numbers(line)
  end
  local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph') or '{}')
  return known and type(graph) == 'table' and graph.terminal or {}
end

-- The task in whose events the end of the workflow is told.
local function told_in()
  local first = terminals()[1]
  local plan = first and plan_of(first)
  return plan and plan.task or ''
end

-- A held step has its result, and waits for what it spawned.
local function is_held(step, state)
  return state == 'active' and redis.call('HEXISTS', workflow_key, 'n:' .. step .. ':result') == 1
end
