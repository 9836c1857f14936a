-- scan_tasks: reads only
--
-- Called by the inspector to find the tasks of a keyspace: each has an event stream. One page of the cursor.
--
-- returns: ScanPage  {next cursor, {keys...}}
-- emits: nothing
local base = KEYS[1]     -- prefix  what the keys of all tasks start with

local pattern = ARGV[1]  -- str     glob
local cursor = ARGV[2]   -- str     "0" starts

return redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000, 'TYPE', 'stream')
