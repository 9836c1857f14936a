-- Ready jobs become active: the claimer's token is stored beside each, with a lifetime.
-- needs: prioritized_key, prefix, token, lease_ms, max_version, limits, now, seldom, fields_of, emit

local claims = {}
local started = {}

-- `py:before` is what the claim overwrites: a handler that never starts must leave the job as it was.
local function start(id, job_key, fields)
  redis.call('SET', job_key .. ':lock', token, 'PX', lease_ms)
  if fields[5] or fields[10] then
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now,
      'py:before', (fields[10] or '') .. ',' .. (fields[5] or ''))
  else
    redis.call('HSET', job_key, 'state', 'active', 'processedOn', now)
  end
  if fields[5] then
    redis.call('HDEL', job_key, 'expireAt')
  end
  local attempt = fields[3] or '0'
  emit('active', id, 'attempt', attempt)
  started[#started + 1] = id
  claims[#claims + 1] = { id, fields[1] or '', fields[2] or '0', attempt, fields[4] or '0' }
  if fields[9] then
    seldom().add_step(claims[#claims], fields[9])
  end
end

-- Most jobs have nothing that could forbid their start.
local function try_start(id)
  local job_key = prefix .. id
  local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
    'collectKey', 'state', '_wf', 'processedOn')
  local is_plain = fields[8] == 'waiting' and limits == '' and not (fields[5] or fields[6] or fields[7])
    and (tonumber(fields[2] or '0') or 0) <= max_version
  if is_plain or seldom().may_start(id, job_key, fields) then
    start(id, job_key, fields)
  end
end

local function pop(source, count)
  if source ~= prioritized_key then
    return redis.call('RPOP', source, count) or {}
  end
  local scored = redis.call('ZPOPMIN', source, count)
  local ids = {}
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  return ids
end

-- A source that holds nothing but jobs that may not start must not hold the server for long.
local function claim_from(source, slots)
  local tries = slots + 1000
  while #claims < slots and tries > 0 do
    local ids = pop(source, math.min(slots - #claims, tries))
    if #ids == 0 then
      return
    end
    tries = tries - #ids
    for i = 1, #ids do
      try_start(ids[i])
    end
  end
end
