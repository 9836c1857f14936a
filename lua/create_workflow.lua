-- create_workflow: (none) -> running
--
-- Called by producers, before the first steps are enqueued. An id that exists is left as it is: it was created by an
-- earlier execution of this call, or by somebody else, or given up because its creation took too long. A caller that
-- has seen when it was given up, and has announced it again since, may create it all the same.
--
-- returns: int  1 created, 0 the id was taken
-- emits: nothing
local workflow_key = KEYS[1]       -- hash   the workflow

local given_now_ms = ARGV[1]       -- clock  epoch milliseconds, or empty for the server's clock
local graph = ARGV[2]              -- bytes  JSON
local name = ARGV[3]               -- str    what people call it; the graph has it, too
local terminal = ARGV[4]           -- str    steps whose results are the workflow's, joined by commas
local ttl_ms = tonumber(ARGV[5])   -- int    0 for no time limit
local over = ARGV[6]               -- str    when it was given up, as the caller has seen; empty if it has not
local resend = ARGV[7]             -- flag   this call may have been executed before
local PLANS = 8                    -- items  (plan)...

--@include clock
--@include fields

if redis.call('EXISTS', workflow_key) == 1 then
  local found = fields_of(workflow_key, 'graph', 'state', 'createdAt')
  local is_given_up = not found[1] and found[2] == 'cancelled'
  if not (is_given_up and found[3] == over) then
    return resend == '1' and found[1] == graph and 1 or 0
  end
  redis.call('DEL', workflow_key)
end
redis.call('HSET', workflow_key, 'state', 'running', 'createdAt', now, 'graph', graph, 'py:name', name,
  'py:terminal', terminal, 'py:count', string.format('%d', #ARGV - PLANS + 1))
if ttl_ms > 0 then
  redis.call('HSET', workflow_key, 'py:ttl', ms_text(ttl_ms), 'py:deadline', ms_text(now_ms + ttl_ms))
end
for i = PLANS, #ARGV do
  local step = string.format('%d', i - PLANS)
  redis.call('HSET', workflow_key, 'n:' .. step .. ':state', 'pending', 'py:plan:' .. step, ARGV[i])
end
return 1
