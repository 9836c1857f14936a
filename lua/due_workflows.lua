-- due_workflows: index of running workflows
--
-- Called by sweepers, any number of them: takes the workflows whose look is due, and puts their next one off, so that
-- another sweeper finds them again if this one dies. They are due again at an odd millisecond, as nobody else sets it.
--
-- returns: tuple[int, list[bytes]]  {when they are due again, {id...}}, most overdue first
-- emits: nothing
--@diagnosed
local running_workflows_key = KEYS[1]  -- zset   workflows that have not been filed as ended, by when to look at them

local given_now_ms = ARGV[1]           -- clock  epoch milliseconds, or empty for the server's clock
local limit = tonumber(ARGV[2])        -- int    at most this many
local again_ms = tonumber(ARGV[3])     -- int    how long until they are due again

--@include clock

local ids = redis.call('ZRANGE', running_workflows_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
local again_at_ms = now_ms + again_ms
again_at_ms = again_at_ms + 1 - again_at_ms % 2
for _, id in ipairs(ids) do
  redis.call('ZADD', running_workflows_key, ms_text(again_at_ms), id)
end
return { again_at_ms, ids }
