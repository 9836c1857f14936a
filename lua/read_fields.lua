-- read_fields: reads only
--
-- Called by handles and waiters: some fields of some jobs, whole. Statuses ask for the result, not for the data. The
-- first field tells whether a job is there; of one that is not, what was left of it for a while may answer.
--
-- returns: list[list[bytes | None]]  per job, in order, the values of the fields
-- emits: nothing
local prefix = KEYS[1]      -- prefix  every key of the task starts with it

local fields = ARGV[1]      -- str     names, separated by one space
local JOB_IDS = 2           -- items   (job_id)...

local names = {}
for name in string.gmatch(fields, '%S+') do
  names[#names + 1] = name
end
local rows = {}
for i = JOB_IDS, #ARGV do
  local row = redis.call('HMGET', prefix .. ARGV[i], unpack(names))
  if not row[1] then
    local remains = redis.call('HMGET', prefix .. 'gone:' .. ARGV[i], unpack(names))
    row = remains[1] and remains or row
  end
  rows[#rows + 1] = row
end
return rows
