-- The claim of a batch: its items become the payload of its job in the same step, so that every later attempt sees the
-- same ones. Returns false when there is nothing to run.
-- needs: prefix, take_items, release_concurrency

local function drain(id, job_key, fields)
  local collect_key = fields[7]
  if not collect_key then
    return true
  end
  local payload = take_items(collect_key)
  if not payload then
    redis.call('DEL', job_key)
    release_concurrency(fields[6])
    return false
  end
  fields[1] = payload
  redis.call('HSET', job_key, 'data', payload)
  redis.call('HDEL', job_key, 'collectKey')
  return true
end
