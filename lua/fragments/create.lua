-- A new job: its record, and its place among the ready or the delayed ones. Those that are ready line up together, when
-- all of them are created.
-- needs: wait_key, delayed_key, version, max_attempts, now_ms, prefix, in_batches

local ready_ids = {}
local any_ready = false
local earliest_due = nil

-- What few jobs have beside the fields of all, name and value in turn.
local function more_fields(extra, delay_ms, ttl_ms)
  local fields = { unpack(extra) }
  if delay_ms > 0 then
    fields[#fields + 1] = 'delay'
    fields[#fields + 1] = ms_text(delay_ms)
  end
  if ttl_ms > 0 then
    fields[#fields + 1] = 'expireAt'
    fields[#fields + 1] = ms_text(now_ms + ttl_ms)
  end
  return fields
end

-- Ends the work of `create`, and wakes whoever waits for it. Jobs that cannot line up have not been created.
local function line_up_created()
  local are_listed, why = pcall(in_batches, ready_ids, 'LPUSH', wait_key)
  if not are_listed then
    for i = 1, #ready_ids do
      redis.call('DEL', prefix .. ready_ids[i])
    end
    error(why)
  end
  if any_ready then
    wake_now()
  elseif earliest_due then
    wake_at(earliest_due)
  end
end

-- Returns whether the job waits, or is to line up with the others.
local function place_created(id, delay_ms, priority, lifo)
  if delay_ms > 0 then
    local due = now_ms + delay_ms
    redis.call('ZADD', delayed_key, ms_text(due), id)
    earliest_due = math.min(due, earliest_due or due)
    return false
  end
  if priority > 0 or lifo then
    push_new(id, priority, now_ms, lifo)
  else
    ready_ids[#ready_ids + 1] = id
  end
  any_ready = true
  return true
end

-- `extra` holds further fields of the record: name, value, name, value... A record that is there needs only its place:
-- then `data` is false. A job without a place is not created; those before it are.
local function create(id, data, delay_ms, priority, ttl_ms, lifo, extra)
  local is_placed, is_ready = pcall(place_created, id, delay_ms, priority, lifo)
  if not is_placed then
    redis.call('DEL', prefix .. id)
    line_up_created()
    error(is_ready)
  end
  if data then
    if delay_ms > 0 or ttl_ms > 0 then
      extra = more_fields(extra, delay_ms, ttl_ms)
    end
    redis.call('HSET', prefix .. id, 'ts', now, '_v', version, 'attempt', '1', 'maxAttempts', max_attempts,
      'state', delay_ms > 0 and 'delayed' or 'waiting',
      'priority', priority == 0 and '0' or string.format('%d', priority), 'data', data, unpack(extra))
  end
  emit(is_ready and 'waiting' or 'delayed', id)
end
