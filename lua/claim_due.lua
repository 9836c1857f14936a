-- claim_due: due -> claimed
--
-- Called by the scheduler that leads. What is due is not removed but becomes due again when the claim ends: if the
-- caller dies, the next leader finds it. Nobody else gets it before.
--
-- returns: tuple[int, bytes, list[bytes]]  now, when the next one is due or empty, {name, when it was due...}
-- emits: nothing
--@diagnosed
local schedules_next_key = KEYS[1]    -- zset   names of schedules by next run

local given_now_ms = ARGV[1]          -- clock  epoch milliseconds, or empty for the server's clock
local lease_ms = tonumber(ARGV[2])    -- int    how long the claim lasts
local limit = tonumber(ARGV[3])       -- int    at most this many in one call

--@include clock

local due = redis.call('ZRANGE', schedules_next_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
for i = 1, #due, 2 do
  redis.call('ZADD', schedules_next_key, ms_text(now_ms + lease_ms), due[i])
end
local following = redis.call('ZRANGE', schedules_next_key, 0, 0, 'WITHSCORES')
return { now_ms, following[2] or '', due }
