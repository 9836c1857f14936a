-- Whether any job of the task runs.
-- needs: active_key, prefix

-- An entry without a lease lost its worker: it is for the stall sweep, and nobody works on it until then.
local function anything_runs()
  for _, id in ipairs(redis.call('LRANGE', active_key, 0, -1)) do
    if redis.call('EXISTS', prefix .. id .. ':lock') == 1 then
      return true
    end
  end
  return false
end
