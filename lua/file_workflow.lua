-- file_workflow: index of running workflows -> index of ended ones
--
-- Called when a workflow has ended, and nothing is left to be done for it. The list of ended ones is kept short: those
-- whose records have ended leave it, and the oldest of too many.
--
-- returns: int  1
-- emits: nothing
local running_workflows_key = KEYS[1]  -- zset   workflows that have not been filed as ended, by when to look at them
local ended_workflows_key = KEYS[2]    -- zset   workflows by end time

local given_now_ms = ARGV[1]           -- clock  epoch milliseconds, or empty for the server's clock
local workflow_id = ARGV[2]            -- str
local listed = ARGV[3]                 -- flag   whether it goes on the list of ended ones
local keep_ms = tonumber(ARGV[4])      -- int    how long ended ones are listed
local max_items = tonumber(ARGV[5])    -- int    how many ended ones are listed

--@include clock

redis.call('ZREM', running_workflows_key, workflow_id)
if listed == '1' then
  redis.call('ZADD', ended_workflows_key, 'NX', now, workflow_id)
end
redis.call('ZREMRANGEBYSCORE', ended_workflows_key, '-inf', ms_text(now_ms - keep_ms))
redis.call('ZREMRANGEBYRANK', ended_workflows_key, 0, -max_items - 1)
return 1
