-- revise_workflow: running -> running;  failed | cancelled -> running
--
-- Called to add steps to a workflow that runs, and to let one run again that had stopped. The caller has read the
-- workflow and worked out what it shall be; if it has changed meanwhile, nothing is written, and the caller reads again.
--
-- returns: int  1 revised, 0 it has changed
-- emits: nothing
local workflow_key = KEYS[1]        -- hash   the workflow

local seen_state = ARGV[1]          -- str    its state when it was read
local graph_sha = ARGV[2]           -- str    SHA-1 of its graph when it was read
local open_step = tonumber(ARGV[3])  -- int   a step that must not have completed, or -1
local graph = ARGV[4]               -- bytes  JSON
local forgotten = ARGV[5]           -- str    fields to delete, separated by spaces
local FIELDS = 6                    -- items  (name, value)...

--@include fields

local found = fields_of(workflow_key, 'state', 'graph', 'n:' .. open_step .. ':state', 'n:' .. open_step .. ':result')
if found[1] ~= seen_state or not found[2] or redis.sha1hex(found[2]) ~= graph_sha then
  return 0
end
if open_step >= 0 and (found[3] == 'completed' or found[4]) then
  return 0
end
for name in string.gmatch(forgotten, '%S+') do
  redis.call('HDEL', workflow_key, name)
end
redis.call('HSET', workflow_key, 'graph', graph, 'state', 'running')
for i = FIELDS, #ARGV, 2 do
  redis.call('HSET', workflow_key, ARGV[i], ARGV[i + 1])
end
redis.call('PERSIST', workflow_key)
return 1
