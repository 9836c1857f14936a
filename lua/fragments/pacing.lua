-- How many jobs may start now: at most so many in any window of time, and only one of a singleton.
-- needs: anything_runs, prefix, singleton, rate_max, rate_window_ms, rate_key, token, started, now_ms, ms_text, state

local RATE = prefix .. 'rate:' .. (rate_key or '')

local function paced(slots)
  if singleton == '1' then
    slots = math.min(slots, 1)
    if slots > 0 and anything_runs() then
      state.paced_until = ms_text(now_ms + 1000)
      return 0
    end
  end
  if rate_max > 0 and slots > 0 then
    redis.call('ZREMRANGEBYSCORE', RATE, '-inf', ms_text(now_ms - rate_window_ms))
    slots = math.min(slots, rate_max - redis.call('ZCARD', RATE))
    if slots <= 0 then
      local paced_until = tonumber(redis.call('ZRANGE', RATE, 0, 0, 'WITHSCORES')[2]) + rate_window_ms
      redis.call('SET', prefix .. 'parked:until', ms_text(paced_until), 'PX', ms_text(math.max(1, paced_until - now_ms)))
      state.paced_until = ms_text(paced_until)
      return 0
    end
  end
  return slots
end

-- A repetition of the call must neither forget nor count again what it had started: names are those of the attempts.
local function count_starts()
  if rate_max == 0 or #started == 0 then
    return
  end
  for i = 1, #started do
    redis.call('ZADD', RATE, now, token .. ':' .. started[i])
  end
  redis.call('PEXPIRE', RATE, rate_window_ms)
end
