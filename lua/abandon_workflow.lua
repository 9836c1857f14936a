-- abandon_workflow: (none) -> cancelled
--
-- Called for a workflow that was announced and never created: its producer is gone, or very slow. Leaves a record for a
-- while that stops a creation which comes late.
--
-- returns: int  1 abandoned, 0 it exists
-- emits: nothing
local workflow_key = KEYS[1]       -- hash   the workflow

local given_now_ms = ARGV[1]       -- clock  epoch milliseconds, or empty for the server's clock
local keep_ms = tonumber(ARGV[2])  -- int    lifetime of the record

--@include clock

if redis.call('EXISTS', workflow_key) == 1 then
  return 0
end
redis.call('HSET', workflow_key, 'state', 'cancelled', 'createdAt', now, 'error', 'never created')
redis.call('PEXPIRE', workflow_key, keep_ms)
return 1
