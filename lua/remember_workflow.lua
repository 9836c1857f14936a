-- remember_workflow: index of running workflows
--
-- Called before a workflow is created, so that it is found again whatever happens then, and by those that looked at one,
-- to say when the next look is due: at an even millisecond. Odd ones are those that sweepers set, who so know whether
-- anybody has remembered the workflow since. Who is about to let one run again announces the try that begins: from then
-- on nobody can file an earlier one.
--
-- returns: int  1
-- emits: nothing
--@diagnosed
local running_workflows_key = KEYS[1]  -- zset   workflows that have not been filed as ended, by when to look at them
local ended_workflows_key = KEYS[2]    -- zset   workflows by end time
local workflow_tries_key = KEYS[3]     -- hash   announced tries of workflows that were tried again

local given_now_ms = ARGV[1]           -- clock  epoch milliseconds, or empty for the server's clock
local workflow_id = ARGV[2]            -- str
local look_ms = tonumber(ARGV[3])      -- int    how long until somebody shall look at it
local announced_try = tonumber(ARGV[4])  -- int  the try that is about to begin, or 0

--@include clock

local look_at_ms = now_ms + look_ms
redis.call('ZADD', running_workflows_key, ms_text(look_at_ms + look_at_ms % 2), workflow_id)
redis.call('ZREM', ended_workflows_key, workflow_id) -- one that stopped, and runs again
if announced_try > 0 and announced_try > (tonumber(redis.call('HGET', workflow_tries_key, workflow_id) or '0') or 0) then
  redis.call('HSET', workflow_tries_key, workflow_id, string.format('%d', announced_try))
end
return 1
