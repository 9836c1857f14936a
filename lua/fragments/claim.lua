-- Ready jobs become active: the claimer's token is stored beside each, with a lifetime.
-- needs: wait_key, prioritized_key, active_key, prefix, token, lease_ms, now_ms

local claims = {}
local blocked = {}

local function pop_prioritized(count)
  local ids = {}
  local scored = redis.call('ZPOPMIN', prioritized_key, count)
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  return ids
end

local function pop_listed(count)
  return redis.call('RPOP', wait_key, count) or {}
end

local function takes_slot(concurrency_key, limit_text)
  local limit = tonumber(limit_text or '0') or 0
  if not concurrency_key or concurrency_key == '' or limit <= 0 then
    return true
  end
  local counter = prefix .. 'conc:' .. concurrency_key
  local held = redis.pcall('GET', counter)
  local used = type(held) == 'string' and tonumber(held) or 0
  if used >= limit then
    return false
  end
  redis.call('SET', counter, string.format('%d', used + 1)) -- not INCR: it fails on a damaged counter
  return true
end

local function add_claim(id, fields)
  claims[#claims + 1] = { id, fields[1] or '', fields[2] or '0', fields[3] or '0', fields[4] or '0' }
end

local function start(id, job_key, fields)
  redis.call('LPUSH', active_key, id)
  redis.call('SET', job_key .. ':lock', token, 'PX', lease_ms)
  redis.call('HSET', job_key, 'state', 'active', 'processedOn', now)
  emit('active', id, 'attempt', fields[3] or '0')
  add_claim(id, fields)
end

local function try_start(id)
  local job_key = prefix .. id
  local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
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

local function claim_from(pop, slots)
  local tries = slots + 100
  while #claims < slots and tries > 0 do
    local ids = pop(math.min(slots - #claims, tries))
    if #ids == 0 then
      return
    end
    tries = tries - #ids
    for _, id in ipairs(ids) do
      try_start(id)
    end
  end
end

-- Priorities are strict: the prioritized set is emptied first, highest priority first. Each source has tries of its
-- own, so that blocked jobs in one cannot hide the other.
local function claim_ready(slots)
  claim_from(pop_prioritized, slots)
  claim_from(pop_listed, slots)
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
      add_claim(id, fields_of(job_key, 'data', '_v', 'attempt', 'ts'))
    end
  end
end
