-- recover_stalled: active -> waiting | failed | cancelled
--
-- Called by every worker now and then; safe to run anywhere, at any time, twice at once. Two phases: a job that was
-- active at the previous sweep, is active still and has no lease, lost its worker; then all active jobs become the
-- candidates of the next sweep. The oldest claim comes first, so that it also runs first. A candidate that has
-- meanwhile ended is only forgotten. A late worker whose job was recovered is refused when it settles, because its
-- token is gone.
--
-- Each sweep also counts who holds the slots of concurrency keys, unless somebody has done so lately.
--
-- A sweep of many jobs takes several calls, so that none holds the server for long: each but the last says where the
-- next one goes on. Other calls may come between them, sweeps too.
--
-- returns: list[list[bytes]]  {recovered ids, failed ids, cancelled ids, {cursor of the next call, if there is one}}
-- emits: stalled; failed; cancelled
--@diagnosed
local wait_key = KEYS[1]           -- list    ready ids, newest left
local prioritized_key = KEYS[2]    -- zset    ready ids with a priority
local active_key = KEYS[3]         -- list    claimed ids
local failed_key = KEYS[4]         -- zset    ids by end time: the dead-letter queue
local cancelled_key = KEYS[5]      -- zset    ids by end time
local stalled_key = KEYS[6]        -- set     candidates of the stall sweep
local marker_key = KEYS[7]         -- zset    wake-up token
local events_key = KEYS[8]         -- stream  events of the task
local prefix = KEYS[9]             -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]       -- clock   epoch milliseconds, or empty for the server's clock
local max_count = tonumber(ARGV[2])  -- int   how often a job may stall before it fails
local cursor = tonumber(ARGV[3])   -- int     0 for the first call of a sweep, then what the reply said
local count_every_ms = tonumber(ARGV[4])  -- int  slots are not counted if somebody did less than this ago; 0 counts always

--@include clock
--@include batches
--@include looking_up
--@include fields
--@include numbers
--@include events
--@include ready
--@include parked
--@include naming
--@include parking
--@include holdings
--@include throughput
--@include telling
--@include recovering
--@include suspecting
--@include learning
--@include recounting

local RECOVERED_AT_ONCE = 500

-- Returns whether there are more.
local function recover_some()
  local found = abandoned()
  for i = 1, math.min(#found, RECOVERED_AT_ONCE) do
    recover(found[i])
  end
  return #found > RECOVERED_AT_ONCE
end

-- Forgets those that ended between two sweeps.
local function make_candidates(active)
  redis.call('DEL', stalled_key)
  in_batches(active, 'SADD', stalled_key)
end

-- Counting is one step, since only then it is right. Returns where to go on, if what it needs is not learnt yet.
local function recount_from(page_start)
  local length = redis.call('LLEN', active_key)
  if length > PAGE and page_start < length then
    local last = -page_start - 1
    learn_keys(redis.call('LRANGE', active_key, last - PAGE + 1, last))
    return page_start + PAGE
  end
  local active = redis.call('LRANGE', active_key, 0, -1)
  local active_keys = keys_of_active(active)
  if not active_keys then
    return page_start
  end
  recount(active_keys)
  redis.call('DEL', LEARNT)
  make_candidates(active)
  return nil
end

local has_more = cursor == 0 and recover_some()
count_finished('failed', #failed)
local next_cursor = nil
if has_more then
  next_cursor = 0
elseif was_counted_lately() then
  make_candidates(redis.call('LRANGE', active_key, 0, -1))
else
  if cursor == 0 then
    redis.call('DEL', LEARNT)
  end
  next_cursor = recount_from(cursor)
end
return { recovered, failed, cancelled, { next_cursor and string.format('%d', next_cursor) } }
