-- postpone_untold: notes of ended jobs of workflows
--
-- Called for jobs whose workflow could not be told of their end, so that they do not stand in the way of those that can:
-- they are told again after a quarter of the time since they ended, within bounds. Those that ended too long ago, and
-- those that are gone, are not told any more.
--
-- returns: list[bytes]  ids of jobs that had ended too long ago
-- emits: nothing
--@diagnosed
local prefix = KEYS[1]                   -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]             -- clock   epoch milliseconds, or empty for the server's clock
local shortest_ms = tonumber(ARGV[2])    -- int     how long they are put off at least
local longest_ms = tonumber(ARGV[3])     -- int     and at most
local give_up_ms = tonumber(ARGV[4])     -- int     how long ago they may have ended, -1 for any time
local JOB_IDS = 5                        -- items   (job_id)...

--@include clock
--@include fields
--@include telling

local given_up = {}
for i = JOB_IDS, #ARGV do
  local id = ARGV[i]
  if redis.call('ZSCORE', UNTOLD, id) then
    local ended_ms = tonumber(fields_of(prefix .. id, 'finishedOn')[1] or '')
    local age_ms = ended_ms and now_ms - ended_ms
    if not age_ms then
      redis.call('ZREM', UNTOLD, id)
    elseif give_up_ms >= 0 and age_ms >= give_up_ms then
      redis.call('ZREM', UNTOLD, id)
      given_up[#given_up + 1] = id
    else
      local pause_ms = math.min(math.max(math.floor(age_ms / 4), shortest_ms), longest_ms)
      redis.call('ZADD', UNTOLD, ms_text(now_ms + pause_ms), id)
    end
  end
end
return given_up
