-- The instant a transition happens at: the caller's virtual clock, or the server's own when none is given,
-- because the clocks of client machines differ.
-- needs: given_now_ms

-- Milliseconds have 13 digits; tostring() would keep 14 and then switch to exponents.
local function ms_text(ms)
  return string.format('%.0f', ms)
end

-- Put together from texts: making a text of a number costs the server more than a small command.
local now = given_now_ms
if now == '' then
  local time = redis.call('TIME') -- seconds, and microseconds of the second
  now = time[1] .. string.sub('00000' .. time[2], -6, -4)
end
local now_ms = tonumber(now)
