-- abandon_workflow: (none) -> cancelled
--
-- Called for a workflow that was announced and never created: its producer is gone, or very slow. Leaves a record for a
-- while that stops a creation which comes late. Whoever wants to create it all the same says when it was given up, as
-- the record tells; given up once more, the record tells another instant.
--
-- returns: int  1 abandoned, 0 it exists
-- emits: nothing
local workflow_key = KEYS[1]       -- hash   the workflow

local given_now_ms = ARGV[1]       -- clock  epoch milliseconds, or empty for the server's clock
local keep_ms = tonumber(ARGV[2])  -- int    lifetime of the record

--@include clock
--@include fields

local found = fields_of(workflow_key, 'graph', 'state')
local is_given_up = not found[1] and found[2] == 'cancelled'
if not is_given_up and redis.call('EXISTS', workflow_key) == 1 then
  return 0
end
redis.call('HSET', workflow_key, 'state', 'cancelled', 'createdAt', now, 'error', 'never created')
redis.call('PEXPIRE', workflow_key, keep_ms)
return 1
