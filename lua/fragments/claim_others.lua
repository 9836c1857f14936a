-- The claim of jobs that are not plain.
-- needs: prioritized_key, prefix, max_version, limits, seldom, fields_of, start, reply, links, HEAD

-- It belongs to the claim that was added last.
local function add_link(id, workflow_id)
  links = links or {}
  local n = #links
  links[n + 1], links[n + 2] = (#reply - HEAD) / 5 - 1, workflow_id
  links[n + 3] = redis.call('HGET', prefix .. id, '_wfNode') or ''
end

-- Empty means that a job is plain, so what is damaged is told as 0.
local function attempt_of(fields)
  return fields[3] ~= '' and fields[3] or '0'
end

local function try_start_other(id, job_key)
  local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', 'expireAt', 'concurrencyKey',
    'collectKey', 'state', '_wf', 'processedOn')
  local asks_nothing = fields[8] == 'waiting' and limits == '' and not (fields[5] or fields[6] or fields[7])
    and (tonumber(fields[2] or '0') or 0) <= max_version
  if not (asks_nothing or seldom().may_start(id, job_key, fields)) then
    return
  end
  local expire_at, processed_on = fields[5], fields[10]
  local before = (expire_at or processed_on) and (processed_on or '') .. ',' .. (expire_at or '')
  start(id, job_key, fields, attempt_of(fields), before)
  if expire_at then
    redis.call('HDEL', job_key, 'expireAt')
  end
  if fields[9] then
    add_link(id, fields[9])
  end
end

-- Highest priority first; nil when there are none.
local function pop_prioritized(count)
  local scored = redis.call('ZPOPMIN', prioritized_key, count)
  local ids = {}
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
  end
  return #ids > 0 and ids or nil
end
