-- The instant a transition happens at: the caller's virtual clock, or the server's own when none is given,
-- because the clocks of client machines differ.
-- needs: given_now_ms

-- Milliseconds have 13 digits; tostring() would keep 14 and then switch to exponents.
local function ms_text(ms)
  return string.format('%.0f', ms)
end

local now_ms = tonumber(given_now_ms)
if not now_ms then
  local time = redis.call('TIME')
  now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end
local now = ms_text(now_ms)
