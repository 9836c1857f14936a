-- revise_workflow: running -> running;  failed | cancelled -> running
--
-- Called to add steps to a workflow that runs, and to let one run again that had stopped. The caller has read the
-- workflow and worked out what it shall be; if it has changed meanwhile, nothing is written, and the caller reads again.
-- It leaves its mark in a field that only those write who want the same, so that a call that is sent again is answered
-- as the first time.
--
-- returns: int  1 revised, 0 it has changed
-- emits: nothing
local workflow_key = KEYS[1]        -- hash   the workflow

local seen_state = ARGV[1]          -- str    its state when it was read
local graph_sha = ARGV[2]           -- str    SHA-1 of its graph when it was read
local seen_try = tonumber(ARGV[3])   -- int   its try when it was read
local open_steps = ARGV[4]          -- str    steps that must not have their results, separated by commas
local graph = ARGV[5]               -- bytes  JSON
local forgotten = ARGV[6]           -- str    fields to delete, separated by spaces
local mark_field = ARGV[7]          -- str    where the mark is left
local mark = ARGV[8]                -- str    says who revised it
local resend = ARGV[9]              -- flag   this call may have been executed before
local FIELDS = 10                   -- items  (name, value)...

--@include fields

local found = fields_of(workflow_key, 'state', 'graph', 'py:try', mark_field)
if resend == '1' and found[4] == mark then
  return 1
end
if (tonumber(found[3] or '0') or 0) ~= seen_try then
  return 0
end
if found[1] ~= seen_state or not found[2] or redis.sha1hex(found[2]) ~= graph_sha then
  return 0
end
for step in string.gmatch(open_steps, '%d+') do
  local state = redis.call('HGET', workflow_key, 'n:' .. step .. ':state')
  if state == 'completed' or redis.call('HEXISTS', workflow_key, 'n:' .. step .. ':result') == 1 then
    return 0
  end
end
for name in string.gmatch(forgotten, '%S+') do
  redis.call('HDEL', workflow_key, name)
end
redis.call('HSET', workflow_key, 'graph', graph, 'state', 'running', mark_field, mark)
for i = FIELDS, #ARGV, 2 do
  redis.call('HSET', workflow_key, ARGV[i], ARGV[i + 1])
end
redis.call('PERSIST', workflow_key)
return 1
