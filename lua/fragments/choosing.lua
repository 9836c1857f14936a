-- Which of the steps count that attempts of one step have spawned: those of the attempt whose result was stored.
-- needs: workflow_key

local function drop(steps)
  local line = redis.call('HGET', workflow_key, 'py:dropped') or ''
  for _, index in ipairs(steps) do
    redis.call('HSET', workflow_key, 'n:' .. index .. ':state', 'cancelled')
    line = (line == '' and '' or line .. ',') .. index
  end
  redis.call('HSET', workflow_key, 'py:dropped', line)
end

-- Plans of several attempts stand side by side until one of them has its result: {token, first step, last step, outputs}.
local function choose_plan(step, settled_by)
  local planned = redis.call('HGET', workflow_key, 'py:planned:' .. step)
  if not planned then
    return
  end
  for token, first, last, outputs in string.gmatch(planned, '(%S+) (%d+) (%d+) (%S+);') do
    if token == settled_by then
      redis.call('HSET', workflow_key, 'py:spawned:' .. step, outputs)
    else
      local others = {}
      for index = tonumber(first), tonumber(last) do
        others[#others + 1] = string.format('%d', index)
      end
      drop(others)
    end
  end
  redis.call('HDEL', workflow_key, 'py:planned:' .. step)
end
