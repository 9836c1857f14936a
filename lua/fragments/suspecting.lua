-- Jobs whose worker is gone: they were active at the previous sweep, are active still, and have no lease. Most have one,
-- so that is asked first.
-- needs: active_key, stalled_key, prefix, looked_up

-- Those of some jobs, given newest claim first, that have no lease; oldest claim first, and each once.
local function without_lease(ids)
  local lock_keys, found, is_known = {}, {}, {}
  for i, id in ipairs(ids) do
    lock_keys[i] = prefix .. id .. ':lock'
  end
  local leases = looked_up(lock_keys, 'MGET')
  for i = #ids, 1, -1 do
    if not leases[i] and not is_known[ids[i]] then
      is_known[ids[i]] = true
      found[#found + 1] = ids[i]
    end
  end
  return found
end

-- Returns their ids, oldest claim first.
local function abandoned()
  local found = {}
  if redis.call('EXISTS', stalled_key) == 0 then
    return found
  end
  local ids = without_lease(redis.call('LRANGE', active_key, 0, -1))
  local candidates = looked_up(ids, 'SMISMEMBER', stalled_key)
  for i, id in ipairs(ids) do
    if candidates[i] == 1 then
      found[#found + 1] = id
    end
  end
  return found
end
