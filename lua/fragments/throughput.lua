-- One counter per minute and result, kept for a day. One that cannot count does not stop what it counts.
-- needs: prefix, now_ms

local function count_finished(result, amount)
  if amount == 0 then
    return
  end
  local minute = string.format('%d0000', math.floor(now_ms / 60000) * 6)
  local counter = prefix .. 'metrics:' .. result .. ':' .. minute
  if redis.pcall('INCRBY', counter, amount) == amount then
    redis.call('EXPIRE', counter, 86400)
  end
end
