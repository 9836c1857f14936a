-- reserve_start: active -> active, with a place in a window of time
--
-- Called by a worker for a job whose rate limit depends on its payload. Gives the attempt the first instant at which
-- its key may start one more, and remembers it: asking again for the same attempt gives the same instant.
--
-- returns: int  milliseconds until the attempt may start; 0 for now
-- emits: nothing
--@diagnosed
local prefix = KEYS[1]               -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]         -- clock   epoch milliseconds, or empty for the server's clock
local rate_key = ARGV[2]             -- str     what is counted
local start_id = ARGV[3]             -- str     names the attempt
local rate_max = tonumber(ARGV[4])        -- int   how many may start in a window
local rate_window_ms = tonumber(ARGV[5])  -- int   length of the window

--@include clock

local starts = prefix .. 'rate:' .. rate_key
local reserved = redis.call('ZSCORE', starts, start_id)
if reserved then
  return math.max(0, tonumber(reserved) - now_ms)
end
redis.call('ZREMRANGEBYSCORE', starts, '-inf', ms_text(now_ms - rate_window_ms))
local start_ms = now_ms
local count = redis.call('ZCARD', starts)
if count >= rate_max then
  local leaving = redis.call('ZRANGE', starts, count - rate_max, count - rate_max, 'WITHSCORES')[2]
  start_ms = math.max(now_ms, tonumber(leaving) + rate_window_ms)
end
redis.call('ZADD', starts, ms_text(start_ms), start_id)
redis.call('PEXPIRE', starts, ms_text(start_ms - now_ms + rate_window_ms + 60000))
return start_ms - now_ms
