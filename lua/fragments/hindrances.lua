-- What may forbid a ready job to start, and where it goes then.
-- needs: delayed_key, prefix, max_version, now_ms, now, ms_text, fields_of, expire, is_expired, limit_of, slots_held
-- needs: free_next, park, drain, failing, state, NEWER, FREED

local NEWER_PARK_MS = 30000
local ENDED = { completed = true, failed = true, cancelled = true, expired = true }

-- What prepares a claim holds up nothing if it fails: returns what it returns, or nothing.
local function unless_damaged(work, ...)
  local is_done, result = pcall(work, ...)
  if is_done then
    return result
  end
  failing().pass_over(result)
end

local freed_and_blocked = nil -- a list, while freed jobs are tried

local function takes_slot(concurrency_key, limit)
  if limit <= 0 then
    return true
  end
  local used = slots_held(concurrency_key)
  if used >= limit then
    return false
  end
  redis.call('SET', prefix .. 'conc:' .. concurrency_key, string.format('%d', used + 1)) -- not INCR: it may be damaged
  return true
end

-- A payload of a newer version is for a newer worker. The job goes to the delayed ones, where every program finds it
-- again, and is noted, so that a newer worker of ours finds it at once. No event: old workers would fill the stream.
local function leave_for_newer(id, job_key, job_version)
  redis.call('ZADD', delayed_key, ms_text(now_ms + NEWER_PARK_MS), id)
  redis.pcall('ZADD', NEWER, job_version, id) -- without the note it is found when it is due
  redis.call('HSET', job_key, 'state', 'delayed')
  state.moved_delayed = true
end

-- A job that had been freed leaves without its slot: the next of its key gets the chance.
local function pass_on(concurrency_key, key_fields)
  if key_fields and slots_held(concurrency_key) < limit_of(key_fields[1], key_fields[2]) then
    free_next(concurrency_key)
  end
end

-- What only matters to jobs with a concurrency key is read only of them: limit, whether that is a default, priority.
local function key_fields_of(job_key, concurrency_key)
  if concurrency_key and concurrency_key ~= '' then
    return fields_of(job_key, 'concurrencyLimit', 'py:defaultLimit', 'priority')
  end
  return nil
end

-- Whether a job may start; one that may not has a place by then. `fields` are those that `try_start` reads.
local function may_start(id, job_key, fields)
  local job_version = tonumber(fields[2] or '0') or 0
  local key_fields = key_fields_of(job_key, fields[6])
  if not fields[1] and not fields[2] then
    return false -- a ghost: the id was queued, its hash is gone
  end
  if ENDED[fields[8]] then
    pass_on(fields[6], key_fields) -- another program, which does not know where parked jobs stand, cancelled it
  elseif is_expired(job_key, fields[5], fields[4]) then
    expire(id, job_key, fields_of(job_key, 'dedupKey')[1])
    pass_on(fields[6], key_fields)
  elseif job_version > tonumber(max_version) then
    leave_for_newer(id, job_key, job_version)
    pass_on(fields[6], key_fields)
  elseif key_fields and not takes_slot(fields[6], limit_of(key_fields[1], key_fields[2])) then
    local place = { id, fields[6], tonumber(key_fields[3] or '0') or 0, tonumber(fields[4] or now) or now_ms }
    if freed_and_blocked then
      freed_and_blocked[#freed_and_blocked + 1] = place
    else
      park(unpack(place))
    end
  else
    return drain(id, job_key, fields)
  end
  return false
end

local function try_freed()
  freed_and_blocked = {}
end

-- Those that are blocked again go back in front, the first of them foremost.
local function park_again()
  local places = freed_and_blocked
  freed_and_blocked = nil
  for i = #places, 1, -1 do
    local id, concurrency_key, priority, order_ms = unpack(places[i])
    local is_parked, failure = pcall(park, id, concurrency_key, priority, order_ms, true)
    if not is_parked then
      failing().set_aside(id, FREED, failure)
    end
  end
end
