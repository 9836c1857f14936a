-- describe_workflow: reads only
--
-- Called by the inspector: what a list shows of a workflow. The steps are counted here, and the graph stays here; of a
-- workflow of another program it is read, because there is no name beside it.
--
-- returns: list[bytes | None]  {state, name, created, finished, deadline, error, step's state, count...}; {} for none
-- emits: nothing
local workflow_key = KEYS[1]  -- hash   the workflow

--@include fields
--@include plans

local AT_ONCE = 1000

local function graph_name()
  local known, graph = pcall(cjson.decode, redis.call('HGET', workflow_key, 'graph'))
  return known and type(graph) == 'table' and type(graph.name) == 'string' and graph.name or ''
end

local function states_of(first, last)
  local names = {}
  for step = first, last do
    names[#names + 1] = string.format('n:%d:state', step)
  end
  return fields_of(workflow_key, unpack(names))
end

local found = fields_of(workflow_key, 'state', 'py:name', 'createdAt', 'py:finishedAt', 'py:deadline', 'error', 'py:count')
if not found[1] or redis.call('HEXISTS', workflow_key, 'graph') == 0 then
  return {}
end
local count = tonumber(found[7]) or #graph_nodes()
local row = { found[1], found[2] or graph_name(), found[3], found[4], found[5], found[6] }
local counts, states = {}, {}
for first = 0, count - 1, AT_ONCE do
  local last = math.min(first + AT_ONCE, count) - 1
  local page = states_of(first, last)
  for i = 1, last - first + 1 do
    local state = page[i] or 'pending'
    if not counts[state] then
      states[#states + 1] = state
    end
    counts[state] = (counts[state] or 0) + 1
  end
end
for _, state in ipairs(states) do
  row[#row + 1] = state
  row[#row + 1] = string.format('%d', counts[state])
end
return row
