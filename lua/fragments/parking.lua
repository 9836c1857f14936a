-- Jobs that are ready but may not start yet stand apart, so that they cost the others nothing. A job whose concurrency
-- key has no free slot waits in a set of its key; when a slot frees, the first of them moves to the freed list, from
-- which claims are served before the wait list: keys take turns, because each release moves one job.
-- All of it is ours alone: other programs see a waiting job. `parked:keys` orders the keys by when they were last
-- looked at.
-- needs: prefix, now_ms, now, fields_of, push_ready, score_of, count_of, of_key, PARKED_KEYS, FREED

local PARKED_COUNT = prefix .. 'parked:count' -- string

local function parked_key(concurrency_key)
  return prefix .. 'parked:key:' .. concurrency_key
end

local function slots_held(concurrency_key)
  local held = redis.pcall('GET', prefix .. 'conc:' .. concurrency_key)
  return type(held) == 'string' and count_of(held) or 0
end

-- Behind all that are parked with its priority, whatever the clock says; in front of them when it had been freed. As in
-- the wait list, a priority that is not above 0 counts as none, nor does one that is no number.
local function score_among_parked(key, priority, order_ms, was_freed)
  if priority > 0 then
    return score_of(priority, order_ms)
  end
  local score
  if was_freed then
    local first = of_key(key, redis.pcall('ZRANGE', key, '0', '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES'))[2]
    score = math.max(0, math.min(now_ms, first and tonumber(first) - 1 or now_ms))
  else
    local last = of_key(key, redis.pcall('ZRANGE', key, -1, -1, 'WITHSCORES'))[2]
    score = math.max(now_ms, last and tonumber(last) + 1 or 0)
  end
  return string.format('%.17g', score)
end

-- An error leaves the job where it was: a key without jobs is forgotten by whoever looks at it.
local function park(id, concurrency_key, priority, order_ms, was_freed)
  local key = parked_key(concurrency_key)
  redis.call('ZADD', PARKED_KEYS, 'NX', now, concurrency_key)
  if of_key(key, redis.pcall('ZADD', key, score_among_parked(key, priority, order_ms, was_freed), id)) == 1 then
    redis.pcall('INCR', PARKED_COUNT)
  end
end

-- Takes a job out of its parking place; returns whether it stood there.
local function unpark(id, concurrency_key)
  local key = parked_key(concurrency_key)
  if of_key(key, redis.pcall('ZREM', key, id)) == 0 then
    return false
  end
  local left = redis.pcall('DECR', PARKED_COUNT)
  if type(left) == 'number' and left <= 0 then
    redis.call('DEL', PARKED_COUNT)
  end
  if redis.call('EXISTS', key) == 0 then
    redis.pcall('ZREM', PARKED_KEYS, concurrency_key)
  end
  return true
end

local function move_to_ready(id)
  local fields = fields_of(prefix .. id, 'priority', 'ts')
  local priority = tonumber(fields[1] or '0') or 0
  if priority > 0 then
    push_ready(id, priority, tonumber(fields[2] or now) or now_ms)
  else
    redis.call('LPUSH', FREED, id)
  end
end

-- Lets the first job of a key compete again. One that finds no place stays parked: it is looked at again.
local function free_next(concurrency_key)
  local first = redis.pcall('ZRANGE', parked_key(concurrency_key), 0, 0)
  return first[1] and pcall(move_to_ready, first[1]) and unpark(first[1], concurrency_key) or false
end
