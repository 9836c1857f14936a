-- list_jobs: reads only
--
-- Called by the inspector. Waiting jobs come in the order in which they will leave, active ones oldest claim first,
-- delayed ones by due time, ended ones newest first. Delayed and retrying jobs share a set: they are told apart by
-- their state, one by one. So that no call holds the server for long, one that has looked at many of them says where
-- the next one goes on, and how many of those it was to skip it has found.
--
-- returns: tuple[list[list[bytes]], list[int]]  {per job {job_id, why it is parked or nothing, field, value, field,
-- value...}, {} or {after of the next call, how many of the state were skipped}}
-- emits: nothing
--@diagnosed
local wait_key = KEYS[1]            -- list    ready ids, newest left
local prioritized_key = KEYS[2]     -- zset    ready ids with a priority
local active_key = KEYS[3]          -- list    claimed ids
local delayed_key = KEYS[4]         -- zset    ids by due time
local finished_key = KEYS[5]        -- zset    ids by end time, of the state asked for
local prefix = KEYS[6]              -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]        -- clock   epoch milliseconds, or empty for the server's clock
local state = ARGV[2]               -- str     a job state
local offset = tonumber(ARGV[3])    -- int
local limit = tonumber(ARGV[4])     -- int
local after = tonumber(ARGV[5])     -- int     of delayed and retrying: how many others were looked at before

--@include clock
--@include newer
--@include running
--@include workers
--@include reasons
--@include listing

local ids
local rest = {}
if limit < 1 then
  ids = {} -- a range that ends before its start would mean all
elseif state == 'waiting' then
  ids = waiting_ids()
elseif state == 'active' then
  ids = newest_last(active_key, offset, limit)
elseif state == 'delayed' or state == 'retrying' then
  ids, rest = delayed_ids()
else
  ids = redis.call('ZRANGE', finished_key, offset, offset + limit - 1, 'REV')
end
local rows = {}
for _, id in ipairs(ids) do
  local row = redis.pcall('HGETALL', prefix .. id) -- of what is no record nothing is listed
  if #row > 0 then
    local reason = reason_of_record(id, row)
    table.insert(row, 1, id)
    table.insert(row, 2, reason)
    rows[#rows + 1] = row
  end
end
return { rows, rest }
