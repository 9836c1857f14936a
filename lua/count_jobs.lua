-- count_jobs: reads only
--
-- Called by the inspector. Delayed includes jobs that wait for their retry.
--
-- returns: list[int]  {waiting, active, delayed, completed, failed, expired, cancelled, age in ms of the oldest
--   waiting job that is not parked or -1, those of the waiting that wait for a slot of their concurrency key, those of
--   the delayed whose payload is too new for the workers that saw them, those of the others that are ready or due while
--   nobody works on the task, workers that are there, instant until which a rate limit holds the ready ones back or -1}
-- emits: nothing
--@diagnosed
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local active_key = KEYS[3]       -- list    claimed ids
local delayed_key = KEYS[4]      -- zset    ids by due time
local completed_key = KEYS[5]    -- zset    ids by end time
local failed_key = KEYS[6]       -- zset    ids by end time: the dead-letter queue
local expired_key = KEYS[7]      -- zset    ids by end time
local cancelled_key = KEYS[8]    -- zset    ids by end time
local prefix = KEYS[9]           -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock   epoch milliseconds, or empty for the server's clock

--@include clock
--@include newer
--@include running
--@include workers

local function age_of(id)
  local ts = id and tonumber(redis.call('HGET', prefix .. id, 'ts') or '')
  return ts and math.max(now_ms - ts, 0) or -1
end

-- Within one priority the first is the oldest; the lowest priority is where jobs wait longest.
local function oldest_of_lowest_priority()
  local last = redis.call('ZRANGE', prioritized_key, -1, -1)[1]
  local priority = last and tonumber(redis.call('HGET', prefix .. last, 'priority') or '')
  if not priority then
    return nil
  end
  local lowest_score = string.format('%.17g', -priority * 1e13)
  return redis.call('ZRANGE', prioritized_key, lowest_score, '+inf', 'BYSCORE', 'LIMIT', 0, 1)[1] or last
end

-- Due ones that are too new are counted as such.
local function due_and_not_newer()
  local due = redis.call('ZCOUNT', delayed_key, '-inf', now)
  for _, id in ipairs(due > 0 and redis.call('ZRANGE', NEWER, 0, -1) or {}) do
    local due_ms = tonumber(redis.call('ZSCORE', delayed_key, id) or '')
    if due_ms and due_ms <= now_ms then
      due = due - 1
    end
  end
  return due
end

-- What the last claim said that found the limit reached; the instant is over, or nobody could have started a job.
local function limited_until()
  local until_ms = tonumber(redis.call('GET', prefix .. 'parked:until') or '')
  return until_ms and until_ms > now_ms and until_ms or -1
end

local freed_key = prefix .. 'parked:freed'
local parked = tonumber(redis.call('GET', prefix .. 'parked:count') or '0')
local oldest = math.max(age_of(redis.call('LINDEX', wait_key, -1)), age_of(redis.call('LINDEX', freed_key, -1)),
  age_of(oldest_of_lowest_priority()))
local ready = redis.call('LLEN', wait_key) + redis.call('ZCARD', prioritized_key) + redis.call('LLEN', freed_key)
local workers = live_workers()
local unserved = 0
if workers == 0 and not anything_runs() then
  unserved = ready + due_and_not_newer()
end
return {
  ready + parked,
  redis.call('LLEN', active_key),
  redis.call('ZCARD', delayed_key),
  redis.call('ZCARD', completed_key),
  redis.call('ZCARD', failed_key),
  redis.call('ZCARD', expired_key),
  redis.call('ZCARD', cancelled_key),
  oldest,
  parked,
  redis.call('ZCARD', NEWER),
  unserved,
  workers,
  ready > 0 and limited_until() or -1,
}
