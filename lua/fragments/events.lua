-- Events are hints for listeners; the job hash is the truth. The stream is trimmed roughly, because exact
-- trimming would cost a tree walk per event, and once per call, because that is enough.
-- needs: events_key

local is_trimmed = false

local function emit(name, job_id, ...)
  if is_trimmed then
    redis.call('XADD', events_key, '*', 'event', name, 'jobId', job_id, ...)
  else
    is_trimmed = true
    redis.call('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
  end
end
