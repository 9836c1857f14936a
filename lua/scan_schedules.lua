-- scan_schedules: reads only
--
-- Called by operators, and by schedulers that look for what nobody declares any more: a page of all records. A schedule
-- that exists all the while is on one page at least; one may be on two.
--
-- returns: ScanPage  {next cursor, {name, record...}}
-- emits: nothing
local schedules_key = KEYS[1]  -- hash  records of schedules, as JSON, by name

local cursor = ARGV[1]         -- str   "0" starts
local limit = ARGV[2]          -- int   about how many; a small hash comes at once

return redis.call('HSCAN', schedules_key, cursor, 'COUNT', limit)
