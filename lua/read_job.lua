-- read_job: reads only
--
-- Called by the inspector: everything known of one job, at one instant.
--
-- returns: tuple[list[bytes], list[bytes], bytes]  {field, value, field, value... or nothing}, {log entries}, why it is
--   parked or nothing
-- emits: nothing
local active_key = KEYS[1]      -- list    claimed ids
local delayed_key = KEYS[2]     -- zset    ids by due time
local prefix = KEYS[3]          -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]    -- clock   epoch milliseconds, or empty for the server's clock
local job_id = ARGV[2]          -- str

--@include clock
--@include newer
--@include running
--@include workers
--@include reasons

local job_key = prefix .. job_id
local record = redis.call('HGETALL', job_key)
return { record, redis.call('LRANGE', job_key .. ':logs', 0, -1), reason_of_record(job_id, record) }
