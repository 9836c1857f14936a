-- Jobs that ask for more than to be run, each in one text: empty, or 'delay_ms priority ttl_ms'.
-- needs: prefix, wait_key, resend, in_batches, create, line_up_created

-- Jobs that cannot line up have not been created.
local function undo_created(ids, why)
  for i = 1, #ids do
    redis.call('DEL', prefix .. ids[i])
  end
  error(why)
end

-- More than one command takes. Like that command, it tells its error.
local function list_many(ids)
  local are_listed, why = pcall(in_batches, ids, 'LPUSH', wait_key)
  return are_listed and #ids or why
end

-- `data` is false for a job whose record is there.
local function create_as(id, data, terms)
  local delay_ms, priority, ttl_ms = string.match(terms, '^(%d+) (-?%d+) (%d+)$')
  create(id, data, tonumber(delay_ms or '0'), tonumber(priority or '0'), tonumber(ttl_ms or '0'), false, {})
end

-- The jobs from the argument `first` on. Payloads up to `short` bytes, and those up to `long`, have models by their terms.
-- Returns what `taken` is.
local function create_with_terms(first, short, long)
  local short_models, long_models, none = {}, {}, {}
  local taken = nil
  for i = first, #ARGV, 3 do
    local id, data, terms = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local job_key = prefix .. id
    local models = #data <= short and short_models or #data <= long and long_models or none
    local copies = models[terms] and redis.pcall('COPY', models[terms], job_key)
    if copies == 0 or copies ~= 1 and redis.call('EXISTS', job_key) == 1 then
      taken = taken or {}
      taken[i] = resend ~= '1' or redis.call('HGET', job_key, 'data') ~= data
    elseif copies == 1 then
      redis.call('HSET', job_key, 'data', data)
      create_as(id, false, terms)
    else
      create_as(id, data, terms)
      models[terms] = models ~= none and job_key or nil
    end
  end
  line_up_created()
  return taken
end
