-- Jobs of which there is one at a time: a key names its owner, and a dispatch that finds an owner follows that job.
-- needs: prefix, version, resend, now_ms, ms_text, remember, recall, admit, DUPLICATE, UPDATED

local function dedup_key_of(job)
  return prefix .. 'dedup:' .. job.control_key
end

local function owner_of(dedup_key)
  local owner = redis.call('GET', dedup_key)
  return owner, owner and redis.call('HGET', prefix .. owner, 'state')
end

-- The record names the key, so that it is given up when the job ends.
local function admit_owner(job, dedup_key)
  redis.call('SET', dedup_key, job.id)
  job.extra[#job.extra + 1] = 'dedupKey'
  job.extra[#job.extra + 1] = dedup_key
  return admit(job)
end

local function deduplicate(job)
  local dedup_key = dedup_key_of(job)
  local owner, state = owner_of(dedup_key)
  if owner and state and string.find(job.states, ' ' .. state .. ' ', 1, true) then
    return { DUPLICATE, owner }
  end
  return admit_owner(job, dedup_key)
end

-- A window of time: the key outlives the job, so the job's record must not name it.
local function deduplicate_for(job)
  local dedup_key = dedup_key_of(job)
  local owner = redis.call('GET', dedup_key)
  if owner then
    return { DUPLICATE, owner }
  end
  local admitted = admit(job) -- first, since it may fail
  redis.call('SET', dedup_key, job.id, 'PX', ms_text(job.period_ms))
  return admitted
end

-- The job that waits carries this payload now, with its time to live; `py:carries` says whose it is.
local function give_payload(job, owner)
  redis.call('HSET', prefix .. owner, 'data', job.data, '_v', version, 'py:carries', job.id)
  if job.ttl_ms > 0 then
    redis.call('HSET', prefix .. owner, 'expireAt', ms_text(now_ms + job.ttl_ms))
  else
    redis.call('HDEL', prefix .. owner, 'expireAt')
  end
  remember(job.id, owner)
  return { UPDATED, owner }
end

-- The key names the job that waits. While one is active the next one waits for its concurrency slot.
local function keep_latest(job)
  local dedup_key = dedup_key_of(job)
  local owner_then = resend == '1' and recall(job.id)
  if owner_then then
    return { UPDATED, owner_then }
  end
  local owner, state = owner_of(dedup_key)
  if state == 'waiting' or state == 'delayed' then
    return give_payload(job, owner)
  end
  return admit_owner(job, dedup_key)
end
