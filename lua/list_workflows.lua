-- list_workflows: reads only
--
-- Called by the inspector: a page of one of the indexes of workflows.
--
-- returns: list[bytes]  ids; running ones by when the next look at them is due, ended ones newest first
-- emits: nothing
local workflows_key = KEYS[1]        -- zset   one of the indexes

local newest_first = ARGV[1]         -- flag
local offset = tonumber(ARGV[2])     -- int
local limit = tonumber(ARGV[3])      -- int

if limit <= 0 then
  return {}
end
local command = newest_first == '1' and 'ZREVRANGE' or 'ZRANGE'
return redis.call(command, workflows_key, offset, offset + limit - 1)
