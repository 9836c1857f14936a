-- remove_finished: completed | failed | cancelled | expired -> (none)
--
-- Called by operators for one job. Only a job that stands in the given set of ended jobs is removed.
--
-- returns: int  1 removed, 0 it is not in that set
-- emits: nothing
local finished_key = KEYS[1]  -- zset    ids by end time, of one final state
local prefix = KEYS[2]        -- prefix  every key of the task starts with it

local job_id = ARGV[1]        -- str

if redis.call('ZREM', finished_key, job_id) == 0 then
  return 0
end
local job_key = prefix .. job_id
redis.call('DEL', job_key, job_key .. ':lock', job_key .. ':logs')
return 1
