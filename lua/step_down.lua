-- step_down: this scheduler -> nobody
--
-- Called by a scheduler that stops, so that the next one need not wait for its time to end. A late caller, after
-- somebody else took over, changes nothing.
--
-- returns: int  1 when the caller led
-- emits: nothing
local schedules_lock_key = KEYS[1]  -- string  token of the leader

local token = ARGV[1]               -- str     names the scheduler

if redis.call('GET', schedules_lock_key) ~= token then
  return 0
end
return redis.call('DEL', schedules_lock_key)
