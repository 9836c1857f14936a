-- prune: completed | failed | cancelled | expired -> (none)
--
-- Called by the retention role of every worker, repeatedly until nothing is left to remove: one call removes at most
-- `limit` jobs, so that it never holds the server for long.
--
-- returns: int  how many jobs were removed
-- emits: nothing
local finished_key = KEYS[1]         -- zset    ids by end time, of one final state
local prefix = KEYS[2]               -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]         -- clock   epoch milliseconds, or empty for the server's clock
local max_age_ms = tonumber(ARGV[2])   -- int   -1 keeps any age
local max_items = tonumber(ARGV[3])    -- int   -1 keeps any number
local spared_ms = tonumber(ARGV[4])    -- int   what ended less than this ago stays in any case
local limit = tonumber(ARGV[5])        -- int   at most this many in one call

--@include clock
--@include telling

local removed = 0

local all_told = redis.call('EXISTS', UNTOLD) == 0

local function remove(ids)
  for _, id in ipairs(ids) do
    if all_told or not redis.call('ZSCORE', UNTOLD, id) then
      local job_key = prefix .. id
      redis.call('DEL', job_key, job_key .. ':lock', job_key .. ':logs')
      redis.call('ZREM', finished_key, id)
      removed = removed + 1
    end
  end
end

local function oldest(age_ms, count)
  return redis.call('ZRANGE', finished_key, '-inf', ms_text(now_ms - age_ms), 'BYSCORE', 'LIMIT', 0, count)
end

if max_age_ms >= 0 then
  remove(oldest(math.max(max_age_ms, spared_ms), limit))
end
if max_items >= 0 then
  local surplus = math.min(redis.call('ZCARD', finished_key) - max_items, limit - removed)
  if surplus > 0 then
    remove(oldest(spared_ms, surplus))
  end
end
return removed
