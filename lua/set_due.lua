-- set_due: next run of a schedule -> another one, or none
--
-- Called by whoever plans or stops a schedule. The caller may say what it expects to find; if that is not there,
-- somebody else has decided meanwhile, and nothing changes. What is as it should be counts as set.
--
-- returns: int  1 when it is as the caller wants it
-- emits: nothing
--@diagnosed
local schedules_next_key = KEYS[1]  -- zset  names of schedules by next run

local name = ARGV[1]                -- str   the schedule
local expected = ARGV[2]            -- str   when it is due now, "none" if it must not be planned, empty for whatever
local due_ms = ARGV[3]              -- str   when it shall be due; empty for never

local found = redis.call('ZSCORE', schedules_next_key, name)
if (found and tonumber(found)) == (due_ms ~= '' and tonumber(due_ms)) then
  return 1
end
if expected == 'none' and found or expected ~= 'none' and expected ~= '' and tonumber(found) ~= tonumber(expected) then
  return 0
end
if due_ms == '' then
  redis.call('ZREM', schedules_next_key, name)
else
  redis.call('ZADD', schedules_next_key, due_ms, name)
end
return 1
