-- read_job: reads only
--
-- Called by the inspector: everything known of one job, at one instant.
--
-- returns: list[list[bytes]]  {field, value, field, value... or nothing}, {log entries}
-- emits: nothing
local prefix = KEYS[1]   -- prefix  every key of the task starts with it

local job_id = ARGV[1]   -- str

local job_key = prefix .. job_id
return { redis.call('HGETALL', job_key), redis.call('LRANGE', job_key .. ':logs', 0, -1) }
