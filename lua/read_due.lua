-- read_due: reads only
--
-- Called by operators, and before anything is planned: when every schedule is due, and what time it is.
--
-- returns: tuple[int, list[bytes]]  now, {name, when it is due...}, earliest first
-- emits: nothing
local schedules_next_key = KEYS[1]  -- zset   names of schedules by next run

local given_now_ms = ARGV[1]        -- clock  epoch milliseconds, or empty for the server's clock

--@include clock

return { now_ms, redis.call('ZRANGE', schedules_next_key, 0, -1, 'WITHSCORES') }
