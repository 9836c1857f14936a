-- What a job holds beside its lease: a deduplication key, a slot of a concurrency key. Giving it up fails never: the
-- job has ended by then.
-- needs: prefix, free_next

-- The key may have passed to a newer job: only its owner may delete it. The record may name anything as its key.
local function release_dedup(dedup_key, job_id)
  if dedup_key and redis.pcall('GET', dedup_key) == job_id then
    redis.call('DEL', dedup_key)
  end
end

-- Gives a slot back, and the first job that waits for it its chance. Returns true when a slot became free.
local function release_concurrency(concurrency_key)
  if not concurrency_key or concurrency_key == '' then
    return false
  end
  local counter = prefix .. 'conc:' .. concurrency_key
  local left = redis.pcall('DECR', counter)
  if type(left) ~= 'number' or left <= 0 then -- gone, or no number: nobody can tell how many hold it
    redis.call('DEL', counter)
  end
  free_next(concurrency_key)
  return true
end
