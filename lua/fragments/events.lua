-- Events are hints for listeners; the job hash is the truth. The stream is trimmed roughly, because exact
-- trimming would cost a tree walk per event.
-- needs: events_key

local function emit(name, job_id, ...)
  redis.call('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', name, 'jobId', job_id, ...)
end
