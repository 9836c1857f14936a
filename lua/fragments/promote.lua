-- Due jobs become ready, earliest due first, so that the one that waited longest leaves first. A job leaves its place
-- when it has another one: an error leaves it, and those behind it, where they were.
-- needs: delayed_key, prefix, max_version, now_ms, now, state, fields_of, emit, is_expired, expire, push_ready, NEWER

local PROMOTE_LIMIT = 100

local function promote(id)
  local job_key = prefix .. id
  local fields = fields_of(job_key, 'expireAt', 'priority', 'ts', '_v', 'dedupKey')
  if is_expired(job_key, fields[1], fields[3]) then
    expire(id, job_key, fields[5])
  elseif fields[4] or fields[3] then -- an id without a hash is a ghost: nothing to run
    push_ready(id, tonumber(fields[2] or '0') or 0, tonumber(fields[3] or now) or now_ms)
    redis.call('HSET', job_key, 'state', 'waiting')
    emit('promoted', id)
  end
end

-- The index goes first: a server that is out of memory permits that, and then permits the rest.
local function promote_due()
  state.moved_delayed = true
  local due = redis.call('ZRANGE', delayed_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  redis.pcall('ZREM', NEWER, unpack(due))
  for i = 1, #due do
    local is_done, failure = pcall(promote, due[i])
    if not is_done then
      if i > 1 then
        redis.call('ZREM', delayed_key, unpack(due, 1, i - 1))
      end
      error(failure)
    end
  end
  redis.call('ZREM', delayed_key, unpack(due))
end

-- What older workers left, and this one understands, becomes ready at once.
local function take_newer()
  local ids = redis.pcall('ZRANGE', NEWER, '-inf', max_version, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  for i = 1, #ids do
    local id = ids[i]
    redis.call('ZREM', NEWER, id)
    if redis.call('ZSCORE', delayed_key, id) then
      local fields = fields_of(prefix .. id, 'priority', 'ts')
      push_ready(id, tonumber(fields[1] or '0') or 0, tonumber(fields[2] or now) or now_ms)
      redis.call('ZREM', delayed_key, id)
      redis.call('HSET', prefix .. id, 'state', 'waiting')
    end
  end
end
