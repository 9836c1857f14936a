-- Ready jobs become active: the claimer's token is stored beside each, with a lifetime.
-- needs: wait_key, prioritized_key, active_key, delayed_key, stalled_key, prefix, token, lease_ms, max_version, now_ms
-- needs: NEWER, moved_delayed

local NEWER_PARK_MS = 30000
local ENDED = { completed = true, failed = true, cancelled = true, expired = true }

local claims = {}
local started_ids = {}
local freed_and_blocked = nil -- a list, while freed jobs are tried

local function pop_prioritized(count)
  local ids = {}
  local scored = redis.call('ZPOPMIN', prioritized_key, count)
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  return ids
end

local function pop_freed(count)
  return redis.call('RPOP', FREED, count) or {}
end

local function pop_listed(count)
  return redis.call('RPOP', wait_key, count) or {}
end

local function takes_slot(concurrency_key, limit)
  if limit <= 0 then
    return true
  end
  local used = slots_held(concurrency_key)
  if used >= limit then
    return false
  end
  redis.call('SET', prefix .. 'conc:' .. concurrency_key, string.format('%d', used + 1)) -- not INCR: it may be damaged
  return true
end

-- Steps of workflows say of which one, and which step.
local function add_claim(id, fields, workflow_id)
  local claim = { id, fields[1] or '', fields[2] or '0', fields[3] or '0', fields[4] or '0' }
  if workflow_id then
    claim[6], claim[7] = workflow_id, redis.call('HGET', prefix .. id, '_wfNode') or ''
  end
  claims[#claims + 1] = claim
end

-- `py:before` is what the claim overwrites: a handler that never starts must leave the job as it was.
local function start(id, job_key, fields)
  started_ids[#started_ids + 1] = id
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
  emit('active', id, 'attempt', fields[3] or '0')
  add_claim(id, fields, fields[9])
end

-- A payload of a newer version is for a newer worker. The job goes to the delayed ones, where every program finds it
-- again, and is noted, so that a newer worker of ours finds it at once. No event: old workers would fill the stream.
local function leave_for_newer(id, job_key, job_version)
  redis.call('HSET', job_key, 'state', 'delayed')
  redis.call('ZADD', delayed_key, ms_text(now_ms + NEWER_PARK_MS), id)
  redis.call('ZADD', NEWER, job_version, id)
  moved_delayed = true
end

-- A job that had been freed leaves without its slot: the next of its key gets the chance.
local function pass_on(concurrency_key, key_fields)
  if key_fields and slots_held(concurrency_key) < limit_of(key_fields[1], key_fields[2]) then
    free_next(concurrency_key)
  end
end

-- What only matters to jobs with a concurrency key is read only of them: limit, whether that is a default, priority.
local function key_fields_of(job_key, concurrency_key)
  if concurrency_key and concurrency_key ~= '' then
    return fields_of(job_key, 'concurrencyLimit', 'py:defaultLimit', 'priority')
  end
  return nil
end

local function try_start(id)
  local job_key = prefix .. id
  local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
    'collectKey', 'state', '_wf', 'processedOn')
  local job_version = tonumber(fields[2] or '0') or 0
  local key_fields = key_fields_of(job_key, fields[6])
  if not fields[1] and not fields[2] then
    return -- a ghost: the id was queued, its hash is gone
  end
  if ENDED[fields[8]] then
    pass_on(fields[6], key_fields) -- another program, which does not know where parked jobs stand, cancelled it
  elseif is_expired(job_key, fields[5], fields[4]) then
    expire(id, job_key, fields_of(job_key, 'dedupKey')[1])
    pass_on(fields[6], key_fields)
  elseif job_version > max_version then
    leave_for_newer(id, job_key, job_version)
    pass_on(fields[6], key_fields)
  elseif key_fields and not takes_slot(fields[6], limit_of(key_fields[1], key_fields[2])) then
    local place = { id, fields[6], tonumber(key_fields[3] or '0') or 0, tonumber(fields[4] or now) or now_ms }
    if freed_and_blocked then
      freed_and_blocked[#freed_and_blocked + 1] = place
    else
      park(unpack(place))
    end
  elseif drain(id, job_key, fields) then
    start(id, job_key, fields)
  end
end

-- A source that holds nothing but jobs that may not start must not hold the server for long.
local function claim_from(pop, slots)
  local tries = slots + 1000
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

-- Those that are blocked again go back in front, the first of them foremost.
local function claim_freed(slots)
  freed_and_blocked = {}
  claim_from(pop_freed, slots)
  for i = #freed_and_blocked, 1, -1 do
    local id, concurrency_key, priority, order_ms = unpack(freed_and_blocked[i])
    park(id, concurrency_key, priority, order_ms, true)
  end
  freed_and_blocked = nil
end

-- Priorities are strict: the prioritized set is emptied first, highest priority first.
local function claim_ready(slots, parks)
  claim_from(pop_prioritized, slots)
  if parks then
    claim_freed(slots)
  end
  claim_from(pop_listed, slots)
  in_batches(started_ids, function(...)
    redis.call('LPUSH', active_key, ...)
  end)
end

-- The reply to an earlier execution of this call was lost: what it claimed still carries its token. Whoever gets it
-- now has the whole lease before it, as with any claim.
local function reclaim_own()
  local active = redis.call('LRANGE', active_key, 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    local job_key = prefix .. id
    if redis.call('GET', job_key .. ':lock') == token then
      redis.call('PEXPIRE', job_key .. ':lock', lease_ms)
      redis.call('SREM', stalled_key, id)
      local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', '_wf')
      add_claim(id, fields, fields[5])
    end
  end
end
