-- report: active -> active, with progress and log entries
--
-- Called by the worker that runs the jobs, while they run. A late caller, whose lease ended, gets 0 and writes
-- nothing: no progress after the end, no half a job where retention has already deleted one.
--
-- returns: list[int]  per entry, in order: 1 written, 0 refused
-- emits: progress
--@diagnosed
local events_key = KEYS[1]  -- stream  events of the task
local prefix = KEYS[2]      -- prefix  every key of the task starts with it

local ENTRIES = 1           -- items   (kind, job_id, token, payload)...

--@include events

local LOG_LIMIT = 10000

-- Returns an error if there is one.
local function write(kind, id, job_key, payload)
  local reply
  if kind == 'progress' then
    reply = redis.pcall('HSET', job_key, 'progress', payload)
    emit('progress', id, 'value', payload)
  else
    reply = redis.pcall('RPUSH', job_key .. ':logs', payload)
    if type(reply) == 'number' then -- else a server without memory, which permits this, would permit the entries behind
      redis.call('LTRIM', job_key .. ':logs', -LOG_LIMIT, -1)
    end
  end
  return type(reply) == 'table' and reply
end

local written = {}
local refusal = nil
for i = ENTRIES, #ARGV, 4 do
  local job_key = prefix .. ARGV[i + 1]
  local held = redis.pcall('GET', job_key .. ':lock') == ARGV[i + 2]
  if held then
    refusal = write(ARGV[i], ARGV[i + 1], job_key, ARGV[i + 3]) or refusal
  end
  written[#written + 1] = held and 1 or 0
end
if refusal then
  error(refusal) -- the others are written
end
return written
