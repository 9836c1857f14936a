-- Workers say now and then that they are there, and what they are. All of it is ours alone.
-- needs: prefix, now_ms

local WORKER_LIFETIME_MS = 30000
local WORKERS_KEPT_MS = 60000 -- the keys of a task whose last worker died end by themselves
local WORKER_BEATS = prefix .. 'workers:beats' -- zset
local WORKERS_ABOUT = prefix .. 'workers:about' -- hash

local function oldest_beat()
  return ms_text(now_ms - WORKER_LIFETIME_MS)
end

local function live_workers()
  return redis.call('ZCOUNT', WORKER_BEATS, oldest_beat(), '+inf')
end
