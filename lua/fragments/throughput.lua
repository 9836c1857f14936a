-- One counter per minute and result, kept for a day.
-- needs: prefix, now_ms

local function count_finished(result, amount)
  if amount == 0 then
    return
  end
  local counter = prefix .. 'metrics:' .. result .. ':' .. ms_text(math.floor(now_ms / 60000) * 60000)
  if redis.call('INCRBY', counter, amount) == amount then
    redis.call('EXPIRE', counter, 86400)
  end
end
