-- Due jobs become ready, earliest due first, so that the one that waited longest leaves first.
-- needs: delayed_key, prefix, max_version, now_ms, now, fields_of, emit, is_expired, expire, push_ready, NEWER

local PROMOTE_LIMIT = 100

local function promote_due()
  local due = redis.call('ZRANGE', delayed_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  redis.call('ZREM', delayed_key, unpack(due))
  redis.call('ZREM', NEWER, unpack(due))
  for _, id in ipairs(due) do
    local job_key = prefix .. id
    local fields = fields_of(job_key, 'expireAt', 'priority', 'ts', '_v', 'dedupKey')
    if is_expired(job_key, fields[1], fields[3]) then
      expire(id, job_key, fields[5])
    elseif fields[4] or fields[3] then -- an id without a hash is a ghost: nothing to run
      redis.call('HSET', job_key, 'state', 'waiting')
      push_ready(id, tonumber(fields[2] or '0') or 0, tonumber(fields[3] or now) or now_ms)
      emit('promoted', id)
    end
  end
end

-- What older workers left, and this one understands, becomes ready at once.
local function take_newer()
  local ids = redis.call('ZRANGE', NEWER, '-inf', max_version, 'BYSCORE', 'LIMIT', 0, PROMOTE_LIMIT)
  if #ids == 0 then
    return
  end
  redis.call('ZREM', NEWER, unpack(ids))
  for _, id in ipairs(ids) do
    if redis.call('ZREM', delayed_key, id) == 1 then
      local fields = fields_of(prefix .. id, 'priority', 'ts')
      redis.call('HSET', prefix .. id, 'state', 'waiting')
      push_ready(id, tonumber(fields[1] or '0') or 0, tonumber(fields[2] or now) or now_ms)
    end
  end
end
