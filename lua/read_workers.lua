-- read_workers: reads only
--
-- Called by the inspector.
--
-- returns: list[list[bytes]]  per worker that is there, by when it was last heard of {id, instant in ms, JSON or nothing}
-- emits: nothing
local prefix = KEYS[1]         -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]   -- clock   epoch milliseconds, or empty for the server's clock

--@include clock
--@include workers

local rows = {}
for _, id in ipairs(redis.call('ZRANGE', WORKER_BEATS, oldest_beat(), '+inf', 'BYSCORE')) do
  local beat = ms_text(tonumber(redis.call('ZSCORE', WORKER_BEATS, id)))
  rows[#rows + 1] = { id, beat, redis.call('HGET', WORKERS_ABOUT, id) or '' }
end
return rows
