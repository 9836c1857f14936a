-- read_collect: reads only
--
-- Called by producers and operators: what has gathered under a key.
--
-- returns: tuple[list[bytes], list[bytes | None]]  {items, oldest first}, {count, firstAt, lastAt}
-- emits: nothing
local prefix = KEYS[1]       -- prefix  every key of the task starts with it

local collect_key = ARGV[1]  -- str     what gathers together

--@include collecting

local items_key, meta_key = collect_keys(collect_key)
return { redis.call('LRANGE', items_key, 0, -1), redis.call('HMGET', meta_key, 'count', 'firstAt', 'lastAt') }
