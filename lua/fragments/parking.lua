-- Jobs that are ready but may not start yet stand apart, so that they cost the others nothing. A job whose concurrency
-- key has no free slot waits in a set of its key; when a slot frees, the first of them moves to the freed list, from
-- which claims are served before the wait list: keys take turns, because each release moves one job.
-- All of it is ours alone: other programs see a waiting job. `parked:keys` orders the keys by when they were last
-- looked at.
-- needs: prefix, now_ms, fields_of, push_ready, PARKED_KEYS, FREED

local PARKED_COUNT = prefix .. 'parked:count'

local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end

local function slots_held(concurrency_key)
  local held = redis.pcall('GET', prefix .. 'conc:' .. concurrency_key)
  return type(held) == 'string' and tonumber(held) or 0
end

-- Behind all that are parked with its priority, whatever the clock says; in front of them when it had been freed. As in
-- the wait list, a priority that is not above 0 counts as none, nor does one that is no number.
local function park(id, concurrency_key, priority, order_ms, was_freed)
  local key = parked_key(concurrency_key)
  local score = order_ms - priority * PRIORITY_WEIGHT
  local has_priority = priority > 0
  if not has_priority and was_freed then
    local first = redis.call('ZRANGE', key, '0', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    score = math.max(0, math.min(now_ms, first and tonumber(first) - 1 or now_ms))
  elseif not has_priority then
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
    score = math.max(now_ms, last and tonumber(last) + 1 or 0)
  end
  if redis.call('ZADD', key, string.format('%.17g', score == score and score or 0), id) == 1 then
    redis.call('INCR', PARKED_COUNT)
  end
  redis.call('ZADD', PARKED_KEYS, 'NX', now, concurrency_key)
end

-- Takes a job out of its parking place; returns whether it stood there.
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if redis.call('ZREM', key, id) == 0 then
    return false
  end
  if redis.call('DECR', PARKED_COUNT) <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end

-- Lets the first job of a key compete again.
local function free_next(concurrency_key)
  local id = redis.call('ZRANGE', parked_key(concurrency_key), 0, 0)[1]
  if not id or not unpark(id, concurrency_key) then
    return false
  end
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
  return true
end
