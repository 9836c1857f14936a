-- remove_finished: completed | failed | cancelled | expired -> (none)
--
-- Called by operators for one job. Only a job that stands in the given set of ended jobs is removed. A request with an
-- id is remembered for a while, and answered the same when it is sent again.
--
-- returns: int  1 removed, 0 it is not in that set
-- emits: nothing
--@diagnosed
local finished_key = KEYS[1]  -- zset    ids by end time, of one final state
local prefix = KEYS[2]        -- prefix  every key of the task starts with it

local job_id = ARGV[1]        -- str
local request = ARGV[2]       -- str     id of this request, or empty
local resend = ARGV[3]        -- flag    this call may have been executed before

--@include remembering

if resend == '1' and request ~= '' and recall(request) then
  return 1
end
if redis.call('ZREM', finished_key, job_id) == 0 then
  return 0
end
local job_key = prefix .. job_id
redis.call('DEL', job_key, job_key .. ':lock', job_key .. ':logs')
if request ~= '' then
  remember(request, '1')
end
return 1
