-- extend_leases: active -> active
--
-- Called by the lease renewer of a worker for all jobs of one lane. A late caller gets 0 for a job whose lease went
-- to somebody else or ran out. Renewing takes the job out of the stall candidates. This is also how a worker learns
-- of a cancellation whose message it missed.
--
-- returns: list[int]  per lease, in order: 1 held, -1 held and cancellation requested, 0 lost
-- emits: nothing
local stalled_key = KEYS[1]  -- set     candidates of the stall sweep
local prefix = KEYS[2]       -- prefix  every key of the task starts with it

local lease_ms = ARGV[1]     -- int     new lifetime, from now
local LEASES = 2             -- items   (job_id, token)...

local states = {}
for i = LEASES, #ARGV, 2 do
  local job_key = prefix .. ARGV[i]
  local lock_key = job_key .. ':lock'
  local state = 0
  -- What is damaged must not end the leases of all: those jobs would run twice.
  if redis.pcall('GET', lock_key) == ARGV[i + 1] then
    redis.call('PEXPIRE', lock_key, lease_ms)
    redis.pcall('SREM', stalled_key, ARGV[i])
    state = redis.pcall('HEXISTS', job_key, 'cancelledAt') == 1 and -1 or 1
  end
  states[#states + 1] = state
end
return states
