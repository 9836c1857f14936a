-- What a claim does for the jobs that are parked.
-- needs: prefix, key_limit, free_next, slots_held, PARKED_KEYS, FREED, NEWER

local RECHECKED_KEYS = 3
local FREED_AT_ONCE = 100

-- The limit of a job's key: what its dispatch said, or else what this worker says.
local function limit_of(limit_text, is_default)
  if is_default and key_limit > 0 then
    return key_limit
  end
  return tonumber(limit_text or '0') or 0
end

-- The keys that were not looked at for longest, which are looked at now. They are taken out first: a server that is out
-- of memory permits that, and then permits the claim, which makes room.
local function next_keys()
  local keys, scored = redis.call('ZRANGE', PARKED_KEYS, 0, RECHECKED_KEYS - 1), {}
  if #keys > 0 then
    for i, concurrency_key in ipairs(keys) do
      scored[2 * i - 1], scored[2 * i] = now, concurrency_key
    end
    redis.call('ZREM', PARKED_KEYS, unpack(keys))
    redis.call('ZADD', PARKED_KEYS, unpack(scored))
  end
  return keys
end

-- Slots may be freed by programs that know nothing of parking: the keys that were not looked at for longest are looked
-- at again, a few with every claim.
local function recheck_parked()
  if redis.call('LLEN', FREED) > 0 then
    return -- those have their chance first
  end
  for _, concurrency_key in ipairs(next_keys()) do
    local first = redis.pcall('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
    local fields = first and fields_of(prefix .. first, 'concurrencyLimit', 'py:defaultLimit') or {}
    local limit = limit_of(fields[1], fields[2])
    local free = limit > 0 and limit - slots_held(concurrency_key) or 1 -- no limit: damaged, or a ghost
    if not first then
      redis.call('ZREM', PARKED_KEYS, concurrency_key)
    end
    for _ = 1, math.min(free, FREED_AT_ONCE) do
      if not free_next(concurrency_key) then
        break
      end
    end
  end
end
