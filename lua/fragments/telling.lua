-- A job that is a step of a workflow, and has ended, is noted until the workflow knows: they are in different slots, so
-- one script cannot do both. Who settles such a job tells the workflow and crosses the note out; what was missed is
-- found here. Noted jobs are not pruned.
-- needs: prefix, now

local UNTOLD = prefix .. 'workflow:untold'

local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end
