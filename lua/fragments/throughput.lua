-- One counter per minute and result, kept for a day.
-- needs: prefix, now_ms

local function count_finished(result, amount)
  if amount == 0 then
    return
  end
  local minute = string.format('%d0000', math.floor(now_ms / 60000) * 6)
  local counter = prefix .. 'metrics:' .. result .. ':' .. minute
  local counted = amount == 1 and redis.call('INCR', counter) or redis.call('INCRBY', counter, amount)
  if counted == amount then
    redis.call('EXPIRE', counter, 86400)
  end
end
