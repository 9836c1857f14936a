-- Jobs whose worker may be gone: those that were active at the previous sweep, and are active still. It is gone if they
-- have no lease.
-- needs: active_key, stalled_key, prefix, looked_up

-- Returns their ids, oldest claim first.
local function suspects()
  local found, candidates = {}, {}
  if redis.call('EXISTS', stalled_key) == 0 then
    return found
  end
  for _, id in ipairs(redis.call('SMEMBERS', stalled_key)) do
    candidates[id] = true
  end
  local active = redis.call('LRANGE', active_key, 0, -1)
  for i = #active, 1, -1 do
    if candidates[active[i]] then
      candidates[active[i]] = nil
      found[#found + 1] = active[i]
    end
  end
  return found
end

-- Returns the leases of jobs, in order; false where there is none.
local function leases_of(ids)
  local lock_keys = {}
  for i, id in ipairs(ids) do
    lock_keys[i] = prefix .. id .. ':lock'
  end
  return looked_up(lock_keys, 'MGET')
end
