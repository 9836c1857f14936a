-- report: active -> active, with progress and log entries
--
-- Called by the worker that runs the jobs, while they run. A late caller, whose lease ended, gets 0 and writes
-- nothing: no progress after the end, no half a job where retention has already deleted one.
--
-- returns: list[int]  per entry, in order: 1 written, 0 refused
-- emits: progress
local events_key = KEYS[1]  -- stream  events of the task
local prefix = KEYS[2]      -- prefix  every key of the task starts with it

local ENTRIES = 1           -- items   (kind, job_id, token, payload)...

--@include events

local LOG_LIMIT = 10000

local function write(kind, id, job_key, payload)
  if kind == 'progress' then
    redis.call('HSET', job_key, 'progress', payload)
    emit('progress', id, 'value', payload)
  else
    redis.call('RPUSH', job_key .. ':logs', payload)
    redis.call('LTRIM', job_key .. ':logs', -LOG_LIMIT, -1)
  end
end

local written = {}
for i = ENTRIES, #ARGV, 4 do
  local job_key = prefix .. ARGV[i + 1]
  local held = redis.call('GET', job_key .. ':lock') == ARGV[i + 2]
  if held then
    write(ARGV[i], ARGV[i + 1], job_key, ARGV[i + 3])
  end
  written[#written + 1] = held and 1 or 0
end
return written
