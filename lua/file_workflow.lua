-- file_workflow: index of running workflows -> index of ended ones
--
-- Called when a workflow has ended, and nothing is left to be done for it. The list of ended ones is kept short: those
-- whose records have ended leave it, and the oldest of too many. One that was given up is left alone if somebody has
-- announced it again since. Who files a try that has stopped comes too late once another one was announced: the workflow
-- may run again.
--
-- returns: int  1, or 0 if it is to be looked at at another time than the caller knows of, or another try was announced
-- emits: nothing
--@diagnosed
local running_workflows_key = KEYS[1]  -- zset   workflows that have not been filed as ended, by when to look at them
local ended_workflows_key = KEYS[2]    -- zset   workflows by end time
local workflow_tries_key = KEYS[3]     -- hash   announced tries of workflows that were tried again

local given_now_ms = ARGV[1]           -- clock  epoch milliseconds, or empty for the server's clock
local workflow_id = ARGV[2]            -- str
local listed = ARGV[3]                 -- flag   whether it goes on the list of ended ones
local keep_ms = tonumber(ARGV[4])      -- int    how long ended ones are listed
local max_items = tonumber(ARGV[5])    -- int    how many ended ones are listed
local look_at_ms = ARGV[6]             -- str    when the next look is due, as the caller knows; empty if that is all one
local ended_try = tonumber(ARGV[7])    -- int    the try that has stopped, or -1 if no other can follow

--@include clock

if look_at_ms ~= '' and redis.call('ZSCORE', running_workflows_key, workflow_id) ~= look_at_ms then
  return 0
end
local announced = tonumber(redis.call('HGET', workflow_tries_key, workflow_id) or '0') or 0
if ended_try >= 0 and announced > ended_try then
  return 0
end
if listed == '1' then -- first, since it may fail: until then the workflow is found among those that run
  redis.call('ZADD', ended_workflows_key, 'NX', now, workflow_id)
end
redis.call('ZREM', running_workflows_key, workflow_id)
if announced > 0 then
  redis.call('HDEL', workflow_tries_key, workflow_id)
end
redis.call('ZREMRANGEBYSCORE', ended_workflows_key, '-inf', ms_text(now_ms - keep_ms))
redis.call('ZREMRANGEBYRANK', ended_workflows_key, 0, -max_items - 1)
return 1
