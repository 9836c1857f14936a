-- A job that is a step of a workflow, and has ended, is noted until the workflow knows: they are in different slots, so
-- one script cannot do both. Who settles such a job tells the workflow and crosses the note out; what was missed is
-- found here. Noted jobs are not pruned.
-- needs: prefix, now

local UNTOLD = prefix .. 'workflow:untold' -- zset

local function note_end(id, workflow_id)
  if workflow_id and workflow_id ~= '' then
    redis.call('ZADD', UNTOLD, now, id)
  end
end

local function forget_end(id)
  redis.pcall('ZREM', UNTOLD, id)
end

-- Lists a job among the ended, and notes it: both, or neither and an error.
local function list_ended(set_key, id, workflow_id)
  note_end(id, workflow_id)
  local listed = redis.pcall('ZADD', set_key, now, id)
  if type(listed) == 'table' then
    forget_end(id)
    error(listed)
  end
end
