-- forget_untold: notes of ended jobs of workflows
--
-- Called once their workflows know of their ends.
--
-- returns: int  how many were noted
-- emits: nothing
--@diagnosed
local prefix = KEYS[1]  -- prefix  every key of the task starts with it

local JOB_IDS = 1       -- items   (job_id)...

local forgotten = 0
for i = JOB_IDS, #ARGV do
  forgotten = forgotten + redis.call('ZREM', prefix .. 'workflow:untold', ARGV[i])
end
return forgotten
