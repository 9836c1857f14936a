-- last_event: reads only
--
-- Called by event readers and waiters before they look at a job, so that nothing that happens after is missed.
--
-- returns: bytes  id of the newest event, or 0-0
-- emits: nothing
local events_key = KEYS[1]  -- stream  events of the task

local newest = redis.call('XREVRANGE', events_key, '+', '-', 'COUNT', 1)
return newest[1] and newest[1][1] or '0-0'
