-- enqueue_steps: (none) -> waiting
--
-- Called by producers for the first steps of a workflow, by whoever advances one for the next, and by sweepers for those
-- that may have been forgotten. An id that already names a job is left untouched.
--
-- returns: list[int]  one flag per step, in order: 1 created, 0 the id was taken
-- emits: waiting, one per created job
--@diagnosed
local wait_key = KEYS[1]         -- list    ready ids, newest left
local prioritized_key = KEYS[2]  -- zset    ready ids with a priority
local delayed_key = KEYS[3]      -- zset    ids by due time
local marker_key = KEYS[4]       -- zset    wake-up token
local events_key = KEYS[5]       -- stream  events of the task
local prefix = KEYS[6]           -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]     -- clock   epoch milliseconds, or empty for the server's clock
local version = ARGV[2]          -- int     payload version
local max_attempts = ARGV[3]     -- int     total number of runs, for display
local STEPS = 4                  -- items   (workflow_id, step, job_id, data)...

--@include clock
--@include batches
--@include events
--@include ready
--@include create

local flags = {}
for i = STEPS, #ARGV, 4 do
  local id = ARGV[i + 2]
  local is_free = redis.call('EXISTS', prefix .. id) == 0
  if is_free then
    create(id, ARGV[i + 3], 0, 0, 0, false, { '_wf', ARGV[i], '_wfNode', ARGV[i + 1] })
  end
  flags[#flags + 1] = is_free and 1 or 0
end
line_up_created()
return flags
