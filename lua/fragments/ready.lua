-- Where ready jobs stand, and how a waiting worker learns of them.
-- needs: wait_key, prioritized_key, marker_key

-- Higher priority sorts first, then older; exact in a double up to priority 900. Programs of other languages may have
-- written 'NaN' for a number, which Lua reads as such and the server refuses: that sorts last.
local function score_of(priority, order_ms)
  local PRIORITY_WEIGHT = 1e13
  local score = order_ms - priority * PRIORITY_WEIGHT
  return string.format('%.17g', score == score and score or 0)
end

-- Push left, pop right: the list is first in, first out.
local function push_ready(job_id, priority, order_ms)
  if priority > 0 then
    redis.call('ZADD', prioritized_key, score_of(priority, order_ms), job_id)
  else
    redis.call('LPUSH', wait_key, job_id)
  end
end

-- A new job that asks to leave before those that are there: the right end of the list, or a score below its priority's
-- other ones, which still sorts after every higher priority.
local function push_new(job_id, priority, order_ms, lifo)
  if not lifo then
    push_ready(job_id, priority, order_ms)
  elseif priority > 0 then
    push_ready(job_id, priority, -order_ms)
  else
    redis.call('RPUSH', wait_key, job_id)
  end
end

-- The marker holds at most the member "0"; its score says when to look: 0 is now. Who waits looks now and then in any
-- case, so one that cannot be written must not stop what is under way.
local function wake_now()
  redis.pcall('ZADD', marker_key, '0', '0')
end

local function wake_at(due_ms)
  redis.pcall('ZADD', marker_key, 'LT', string.format('%.0f', due_ms), '0')
end
