-- read_due: reads only
--
-- Called by operators, and before anything is planned: when some schedules are due, what time it is, and when the first
-- of all schedules is due.
--
-- returns: tuple[int, bytes, list[bytes]]  now, the earliest or empty, {name, when it is due or empty...}
-- emits: nothing
--@diagnosed
local schedules_next_key = KEYS[1]  -- zset   names of schedules by next run

local given_now_ms = ARGV[1]        -- clock  epoch milliseconds, or empty for the server's clock
local NAMES = 2                     -- items  (name)...

--@include clock

local found = {}
for i = NAMES, #ARGV do
  found[#found + 1] = ARGV[i]
  found[#found + 1] = redis.call('ZSCORE', schedules_next_key, ARGV[i]) or ''
end
local earliest = redis.call('ZRANGE', schedules_next_key, 0, 0, 'WITHSCORES')
return { now_ms, earliest[2] or '', found }
