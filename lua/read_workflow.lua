-- read_workflow: reads only
--
-- Called by handles, sweepers and the inspector: some fields of a workflow, or all of them.
--
-- returns: tuple[int, list[bytes | None]]  now_ms, the values of the fields; or {field, value...} when none are named
-- emits: nothing
local workflow_key = KEYS[1]  -- hash   the workflow

local given_now_ms = ARGV[1]  -- clock  epoch milliseconds, or empty for the server's clock
local FIELDS = 2              -- items  (name)...

--@include clock

if #ARGV < FIELDS then
  return { now_ms, redis.call('HGETALL', workflow_key) }
end
local values = {}
for i = FIELDS, #ARGV do
  values[#values + 1] = redis.call('HGET', workflow_key, ARGV[i])
end
return { now_ms, values }
