-- Events are hints for listeners; the job hash is the truth. The stream is trimmed roughly, because exact
-- trimming would cost a tree walk per event, and once per call, because that is enough. A stream that cannot be written
-- must not stop a call in the middle: jobs would be nowhere. Who minds looks at what `emit` returns.
-- needs: events_key

local is_trimmed = false

local function emit(name, job_id, ...)
  if is_trimmed then
    return redis.pcall('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  end
  is_trimmed = true
  return redis.pcall('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
