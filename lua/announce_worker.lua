-- announce_worker: moves no job
--
-- Called by every worker now and then for each task that it implements, and once when it ends. Who has not been heard
-- of for a while is forgotten.
--
-- returns: int  how many workers of the task are there
-- emits: nothing
--@diagnosed
local prefix = KEYS[1]          -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]    -- clock   epoch milliseconds, or empty for the server's clock
local worker_id = ARGV[2]       -- str
local about = ARGV[3]           -- bytes   what it is, as JSON
local leaves = ARGV[4]          -- flag    it is not there any more

--@include clock
--@include workers

if leaves == '1' then
  redis.call('ZREM', WORKER_BEATS, worker_id)
  redis.call('HDEL', WORKERS_ABOUT, worker_id)
else
  redis.call('ZADD', WORKER_BEATS, now, worker_id)
  redis.call('HSET', WORKERS_ABOUT, worker_id, about)
end
for _, id in ipairs(redis.call('ZRANGE', WORKER_BEATS, '-inf', '(' .. oldest_beat(), 'BYSCORE')) do
  redis.call('ZREM', WORKER_BEATS, id)
  redis.call('HDEL', WORKERS_ABOUT, id)
end
redis.call('PEXPIRE', WORKER_BEATS, WORKERS_KEPT_MS)
redis.call('PEXPIRE', WORKERS_ABOUT, WORKERS_KEPT_MS)
return redis.call('ZCARD', WORKER_BEATS)
