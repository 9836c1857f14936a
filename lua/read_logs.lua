-- read_logs: reads only
--
-- Called by handles.
--
-- returns: list[bytes]  JSON entries, oldest first
-- emits: nothing
local prefix = KEYS[1]   -- prefix  every key of the task starts with it

local job_id = ARGV[1]   -- str

return redis.call('LRANGE', prefix .. job_id .. ':logs', 0, -1)
