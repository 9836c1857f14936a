-- Ready jobs become active: the claimer's token is stored beside each, with a lifetime.
-- needs: wait_key, prioritized_key, active_key, prefix, token, lease_ms, now_ms

local claims = {}
local blocked = {}

-- Priorities are strict: the prioritized set is emptied first, highest priority first.
local function pop_ready(count)
  local ids = {}
  local scored = redis.call('ZPOPMIN', prioritized_key, count)
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  if #ids < count then
    for _, id in ipairs(redis.call('RPOP', wait_key, count - #ids) or {}) do
      ids[#ids + 1] = id
    end
  end
  return ids
end

local function takes_slot(concurrency_key, limit_text)
  local limit = tonumber(limit_text or '0') or 0
  if not concurrency_key or concurrency_key == '' or limit <= 0 then
    return true
  end
  local counter = prefix .. 'conc:' .. concurrency_key
  if tonumber(redis.call('GET', counter) or '0') >= limit then
    return false
  end
  redis.call('INCR', counter)
  return true
end

local function start(id, job_key, fields)
  redis.call('LPUSH', active_key, id)
  redis.call('SET', job_key .. ':lock', token, 'PX', lease_ms)
  redis.call('HSET', job_key, 'state', 'active', 'processedOn', now)
  emit('active', id, 'attempt', fields[3] or '0')
  claims[#claims + 1] = { id, fields[1] or '', fields[2] or '0', fields[3] or '0', fields[4] or '0' }
end

local function try_start(id)
  local job_key = prefix .. id
  local fields = redis.call('HMGET', job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
    'concurrencyLimit', 'dedupKey', 'priority')
  if not fields[1] and not fields[2] then
    return -- a ghost: the id was queued, its hash is gone
  end
  if is_expired(fields[5]) then
    expire(id, job_key, fields[8])
  elseif takes_slot(fields[6], fields[7]) then
    if fields[5] then
      redis.call('HDEL', job_key, 'expireAt')
    end
    start(id, job_key, fields)
  else
    blocked[#blocked + 1] = { id, tonumber(fields[9] or '0') or 0 }
  end
end

local function claim_ready(slots)
  local tries = slots + 100
  while #claims < slots and tries > 0 do
    local ids = pop_ready(math.min(slots - #claims, tries))
    if #ids == 0 then
      break
    end
    tries = tries - #ids
    for _, id in ipairs(ids) do
      try_start(id)
    end
  end
  for _, entry in ipairs(blocked) do
    push_ready(entry[1], entry[2], now_ms)
  end
end

-- The reply to an earlier execution of this call was lost: what it claimed still carries its token.
local function reclaim_own()
  local active = redis.call('LRANGE', active_key, 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    local job_key = prefix .. id
    if redis.call('GET', job_key .. ':lock') == token then
      local fields = redis.call('HMGET', job_key, 'data', '_v', 'attempt', 'ts')
      claims[#claims + 1] = { id, fields[1] or '', fields[2] or '0', fields[3] or '0', fields[4] or '0' }
    end
  end
end
