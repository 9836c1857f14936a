-- tell_workflow_end: event only
--
-- Called when a workflow has ended: those who wait for it hear of it at once in the events of the task that gives its
-- first result. A hint, as every event.
--
-- returns: int  1
-- emits: workflow, with the id of the workflow in the place of the job's
--@diagnosed
local events_key = KEYS[1]   -- stream  events of the task

local workflow_id = ARGV[1]  -- str
local state = ARGV[2]        -- str     completed | failed | cancelled

--@include events

local told = emit('workflow', workflow_id, 'state', state)
return type(told) == 'table' and told or 1 -- an error: this call has nothing else to do
