-- withdraw_claim: claim of a schedule -> withdrawn claim
--
-- Called by whoever pauses, changes or removes a schedule that a scheduler has claimed. That scheduler may still hold
-- what it has read, and dispatch it: from now on it may not. The mark goes when the claim would have ended. A late
-- caller, after that, changes nothing.
--
-- returns: int  1 when it is withdrawn, 0 when it was over
-- emits: nothing
local prefix = KEYS[1]                      -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]                -- clock   epoch milliseconds, or empty for the server's clock
local schedule = ARGV[2]                    -- str     name of the schedule
local claimed_until_ms = tonumber(ARGV[3])  -- int     end of the claim, which names it

--@include clock
--@include withdrawn

if now_ms > claimed_until_ms then
  return 0
end
redis.call('SET', withdrawn_key(schedule, claimed_until_ms), '1', 'PX', ms_text(claimed_until_ms - now_ms + 1))
return 1
