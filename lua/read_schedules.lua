-- read_schedules: reads only
--
-- Called by schedulers and operators: the records of some schedules.
--
-- returns: list[bytes]  {name, record...}; a schedule that does not exist has an empty record
-- emits: nothing
local schedules_key = KEYS[1]  -- hash   records of schedules, as JSON, by name

local NAMES = 1                -- items  (name)...

local found = {}
for i = NAMES, #ARGV do
  found[#found + 1] = ARGV[i]
  found[#found + 1] = redis.call('HGET', schedules_key, ARGV[i]) or ''
end
return found
