-- The claim of jobs that are not plain.
-- needs: prioritized_key, prefix, token, lease_ms, max_version, limits, now, now_ms, state, reply, started
-- needs: seldom, failing, fields_of, emit, count_of, count_text

local HEAD = 4 -- of the reply, before the claims

-- It belongs to the claim that was added last.
local function add_link(id, workflow_id)
  local links = state.links or {}
  local n = #links
  links[n + 1], links[n + 2] = (#reply - HEAD) / 5 - 1, workflow_id
  links[n + 3] = redis.call('HGET', prefix .. id, '_wfNode') or ''
  state.links = links
end

-- What a claim tells of the attempt. Whoever runs a job that has lost a worker is warned.
local function told_of(attempt, stalled_count)
  return count_of(stalled_count) > 0 and count_text(attempt) .. '!' or count_text(attempt)
end

-- `before` is what the claim overwrites, if it does: a handler that never starts must leave the job as it was.
local function start(id, job_key, fields, before)
  local attempt, n = count_text(fields[3]), #reply
  if redis.pcall('PSETEX', job_key .. ':lock', lease_ms, token).err then
    redis.call('SET', job_key .. ':lock', token, 'PX', lease_ms)
  end
  if before then
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now, 'py:before', before)
  else
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now)
  end
  emit('active', id, 'attempt', attempt)
  started[#started + 1] = id
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] =
    id, fields[1] or '', fields[2] or '0', told_of(fields[3], fields[11]), fields[4] or '0'
end

local function try_start(id, job_key)
  local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
    'collectKey', 'state', '_wf', 'processedOn', 'stalledCount')
  local is_in_time = not fields[5] or now_ms < (tonumber(fields[5]) or 0)
  local asks_nothing = fields[8] == 'waiting' and limits == '' and is_in_time and not (fields[6] or fields[7])
    and (tonumber(fields[2] or '0') or 0) <= tonumber(max_version)
  if not (asks_nothing or seldom().may_start(id, job_key, fields)) then
    return
  end
  local expire_at, processed_on = fields[5], fields[10]
  local before = (expire_at or processed_on) and (processed_on or '') .. ',' .. (expire_at or '')
  start(id, job_key, fields, before)
  if expire_at then
    redis.call('HDEL', job_key, 'expireAt')
  end
  if fields[9] then
    add_link(id, fields[9])
  end
end

local function start_or_set_aside(id, job_key, source)
  local is_done, why = pcall(try_start, id, job_key)
  if not is_done then
    failing().set_aside(id, source, why)
  end
end

-- Highest priority first; or the error, if there is one.
local function pop_prioritized(count)
  local scored = redis.pcall('ZPOPMIN', prioritized_key, count)
  local ids = { err = scored.err }
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  return ids
end
