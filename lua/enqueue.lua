-- enqueue: (none) -> waiting | delayed
--
-- Called by producers, for one job or a batch of one task. An id that already names a job is left untouched, so
-- a dispatch that is sent again after a lost reply can never run twice; `resend` says that this call is such a
-- repetition, and then an existing job with the same payload counts as created by it.
--
-- returns: list[int]  one flag per job, in order: 1 created, 0 the id was taken
-- emits: waiting or delayed, one per created job
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local delayed_key = KEYS[3]      -- zset    ids by due time
local marker_key = KEYS[4]       -- zset    wake-up token
local events_key = KEYS[5]       -- stream  events of the task
local prefix = KEYS[6]           -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock   epoch milliseconds, or empty for the server's clock
local version = ARGV[2]          -- int     payload version
local max_attempts = ARGV[3]     -- int     total number of runs
local resend = ARGV[4]           -- flag    this call may have been executed before
local JOBS = 5                   -- items   (job_id, data, terms: empty, or 'delay_ms priority ttl_ms')...

--@include clock
--@include batches
--@include events
--@include ready
--@include create

local NONE = {}
local flags = {}
local created = {}

-- Ids that are taken are rare: one look for the whole batch finds out whether to look at each.
local function any_taken()
  local job_keys = {}
  for i = JOBS, #ARGV, 3 do
    job_keys[#job_keys + 1] = prefix .. ARGV[i]
  end
  local taken = 0
  for first = 1, #job_keys, 1000 do
    taken = taken + redis.call('EXISTS', unpack(job_keys, first, math.min(first + 999, #job_keys)))
  end
  return taken > 0
end

local function enqueue(id, data, terms)
  if terms == '' then
    create(id, data, 0, 0, 0, false, NONE)
  else
    local delay_ms, priority, ttl_ms = string.match(terms, '^(%d+) (-?%d+) (%d+)$')
    create(id, data, tonumber(delay_ms), tonumber(priority), tonumber(ttl_ms), false, NONE)
  end
end

local look_at_each = any_taken()
for i = JOBS, #ARGV, 3 do
  local id = ARGV[i]
  local flag = 1
  if created[id] or (look_at_each and redis.call('EXISTS', prefix .. id) == 1) then
    flag = (resend == '1' and redis.call('HGET', prefix .. id, 'data') == ARGV[i + 1]) and 1 or 0
  else
    created[id] = true
    enqueue(id, ARGV[i + 1], ARGV[i + 2])
  end
  flags[#flags + 1] = flag
end

line_up_created()
return flags
