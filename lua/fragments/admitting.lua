-- What a dispatch that asks for flow control is answered: a code, and the id of the job to follow.
-- needs: create

local TAKEN, CREATED, THROTTLED, DUPLICATE, UPDATED = 0, 1, 2, 3, 4

local function admit(job)
  create(job.id, job.data, job.delay_ms, job.priority, job.ttl_ms, job.lifo, job.extra)
  return { CREATED, job.id }
end
