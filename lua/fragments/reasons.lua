-- Why a job that could run does not: `saturated`, its concurrency key has no free slot; `newer`, its payload is too new
-- for the workers that saw it; `unserved`, nobody implements its task.
-- needs: delayed_key, prefix, now_ms, NEWER, live_workers, anything_runs

-- Workers of other programs do not say that they are there: where a job runs, somebody works.
local served = nil
local function is_served()
  if served == nil then
    served = live_workers() > 0 or anything_runs()
  end
  return served
end

local function reason_of(id, state, concurrency_key)
  if state == 'waiting' then
    if concurrency_key and redis.call('ZSCORE', prefix .. 'parked:key:' .. concurrency_key, id) then
      return 'saturated'
    end
    return is_served() and '' or 'unserved'
  end
  if state == 'delayed' or state == 'retrying' then
    if redis.call('ZSCORE', NEWER, id) then
      return 'newer'
    end
    local due = tonumber(redis.call('ZSCORE', delayed_key, id) or '')
    return due and due <= now_ms and not is_served() and 'unserved' or ''
  end
  return ''
end

-- The record comes as Redis tells it: field, value, field, value...
local function reason_of_record(id, record)
  local state, concurrency_key
  for i = 1, #record, 2 do
    if record[i] == 'state' then
      state = record[i + 1]
    elseif record[i] == 'concurrencyKey' then
      concurrency_key = record[i + 1]
    end
  end
  return reason_of(id, state, concurrency_key)
end
