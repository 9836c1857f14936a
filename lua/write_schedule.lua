-- write_schedule: record of a schedule -> another one, or none
--
-- Called by whoever declares, changes, pauses or runs a schedule. The caller says what it has read; if something else
-- is there, it must read again. What is as it should be counts as written.
--
-- returns: int  1 when it is as the caller wants it
-- emits: nothing
--@diagnosed
local schedules_key = KEYS[1]  -- hash   records of schedules, as JSON, by name

local name = ARGV[1]           -- str    the schedule
local expected = ARGV[2]       -- bytes  the record that was read; empty for none
local record = ARGV[3]         -- bytes  the record to write; empty to delete it

local found = redis.call('HGET', schedules_key, name) or ''
if found == record then
  return 1
end
if found ~= expected then
  return 0
end
if record == '' then
  redis.call('HDEL', schedules_key, name)
else
  redis.call('HSET', schedules_key, name, record)
end
return 1
