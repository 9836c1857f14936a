-- Where the jobs stand that are ready but may not start yet: `parking` says more.
-- needs: prefix

local PARKED_KEYS = prefix .. 'parked:keys' -- zset
local FREED = prefix .. 'parked:freed' -- list
