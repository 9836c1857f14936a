-- lead: nobody | this scheduler -> this scheduler
--
-- Called by every scheduler before each look at what is due: the first one leads, and stays the leader while it asks
-- in time. It is a matter of economy. What is due is claimed on its own, so two leaders do no harm.
--
-- returns: int  1 when the caller leads, 0 when somebody else does
-- emits: nothing
local schedules_lock_key = KEYS[1]  -- string  token of the leader

local token = ARGV[1]               -- str     names the scheduler
local ttl_ms = ARGV[2]              -- int     how long it leads when nothing is heard of it

local leader = redis.call('GET', schedules_lock_key)
if leader and leader ~= token then
  return 0
end
redis.call('SET', schedules_lock_key, token, 'PX', ttl_ms)
return 1
