-- A request that leaves no record under its own id is remembered for a while, so that it is known when it is sent again.
-- needs: prefix

local REMEMBER_MS = 60000

local function remember(id, answer)
  redis.call('SET', prefix .. 'sent:' .. id, answer, 'PX', REMEMBER_MS)
end

local function recall(id)
  return redis.call('GET', prefix .. 'sent:' .. id)
end
