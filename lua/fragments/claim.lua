-- Ready jobs become active: the claimer's token is stored beside each, with a lifetime.
-- needs: prioritized_key, prefix, token, lease_ms, max_version, limits, now_ms, now, others, emit

-- Of each claim id, data, version, attempt, ts. The reply is flat, since a table in it costs as much as a small command.
local HEAD = 4
local reply = { now_ms, -1, '', '' }
local links = nil  -- of those that are steps of workflows: place among the claims, from 0; workflow; step
local started = {} -- ids

-- What is told of the attempt is empty for a plain job. `before` is what the claim overwrites, if it does: a handler that
-- never starts must leave the job as it was.
local function start(id, job_key, fields, told, before)
  redis.call('SET', job_key .. ':lock', token, 'PX', lease_ms)
  if before then
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now, 'py:before', before)
  else
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now)
  end
  emit('active', id, 'attempt', fields[3] or '0')
  started[#started + 1] = id
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] =
    id, fields[1] or '', fields[2] or '0', told, fields[4] or '0'
end

-- A job that has nothing but what every record has: nothing of it could forbid its start.
local function try_start(id)
  local PLAIN_FIELDS = 7
  local job_key = prefix .. id
  if limits == '' and redis.pcall('HLEN', job_key) == PLAIN_FIELDS then
    local fields = redis.call('HMGET', job_key, 'data', '_v', 'attempt', 'ts', 'state', 'priority', 'maxAttempts')
    if fields[1] and fields[2] and fields[3] == '1' and fields[4] and fields[5] == 'waiting' and fields[6] and fields[7]
      and (tonumber(fields[2]) or 0) <= max_version then
      return start(id, job_key, fields, '')
    end
  end
  others().try_start_other(id, job_key)
end

-- A source that holds nothing but jobs that may not start must not hold the server for long.
local function claim_from(source, slots)
  local tries = slots + 1000
  while #started < slots and tries > 0 do
    local count = math.min(slots - #started, tries)
    count = count == 1 and '1' or count
    local ids
    if source == prioritized_key then
      ids = others().pop_prioritized(count)
    else
      ids = redis.call('RPOP', source, count)
    end
    if not ids then
      return
    end
    tries = tries - #ids
    for i = 1, #ids do
      try_start(ids[i])
    end
  end
end
