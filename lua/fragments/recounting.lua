-- Sets the counters of concurrency keys right, which may have lost count when a worker died, or when a job was deleted
-- while it ran.
-- needs: prefix, now_ms, now, ms_text, count_every_ms, looked_up, free_next, wake_now, count_of, PARKED_KEYS

local PARKED_AT_ONCE = 2000
local COUNTED = prefix .. 'parked:counted'

-- Workers sweep each for itself, and that one of them counts is enough. A clock that was set back does not put it off.
local function was_counted_lately()
  local counted = count_every_ms > 0 and redis.pcall('GET', COUNTED)
  local counted_ms = type(counted) == 'string' and tonumber(counted)
  return counted_ms and counted_ms <= now_ms and now_ms < counted_ms + count_every_ms
end

-- The concurrency keys of the active jobs, oldest claim first, and those that jobs are parked for: not all at once, but
-- those that were not looked at for longest.
local function keys_in_use(active_keys)
  local keys, held = {}, {}
  local function add(key, count)
    if not held[key] then
      keys[#keys + 1] = key
      held[key] = 0
    end
    held[key] = held[key] + count
  end
  for i = #active_keys, 1, -1 do
    if active_keys[i] ~= '' then
      add(active_keys[i], 1)
    end
  end
  local parked = redis.call('ZRANGE', PARKED_KEYS, 0, PARKED_AT_ONCE - 1)
  for _, key in ipairs(parked) do
    add(key, 0)
    if #parked == PARKED_AT_ONCE then
      redis.call('ZADD', PARKED_KEYS, 'XX', now, key)
    end
  end
  return keys, held
end

local function counters_of(keys)
  local counters = {}
  for i, key in ipairs(keys) do
    counters[i] = prefix .. 'conc:' .. key
  end
  return looked_up(counters, 'MGET')
end

-- A key that nothing holds lets the first of its parked jobs go in any case.
local function recount(active_keys)
  local keys, held = keys_in_use(active_keys)
  local counters = counters_of(keys)
  for i, key in ipairs(keys) do
    local counted = count_of(counters[i])
    if counted ~= held[key] and held[key] == 0 then
      redis.call('DEL', prefix .. 'conc:' .. key)
    elseif counted ~= held[key] then
      redis.call('SET', prefix .. 'conc:' .. key, string.format('%d', held[key]))
    end
    if (held[key] < counted or held[key] == 0) and free_next(key) then
      wake_now()
    end
  end
  if count_every_ms > 0 then
    redis.call('SET', COUNTED, now, 'PX', ms_text(count_every_ms))
  end
end
