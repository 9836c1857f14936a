-- prune: completed | failed | cancelled | expired -> (none)
--
-- Called by the retention role of every worker, repeatedly until nothing is left to remove: one call looks at `limit`
-- jobs at most, oldest first, so that it never holds the server for long. Those whose workflow may not know of their end
-- stay; the next call begins behind them.
--
-- returns: tuple[int, int]  how many jobs were removed, cursor of the next call or -1 when this was the last
-- emits: nothing
--@diagnosed
local finished_key = KEYS[1]         -- zset    ids by end time, of one final state
local prefix = KEYS[2]               -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]         -- clock   epoch milliseconds, or empty for the server's clock
local max_age_ms = tonumber(ARGV[2])   -- int   -1 keeps any age
local max_items = tonumber(ARGV[3])    -- int   -1 keeps any number
local spared_ms = tonumber(ARGV[4])    -- int   what ended less than this ago stays in any case
local limit = tonumber(ARGV[5])        -- int   look at this many in one call, at most
local cursor = tonumber(ARGV[6])       -- int   how many to pass over, the oldest; 0 for the first call

--@include clock
--@include telling

local function count_due()
  local due = 0
  if max_age_ms >= 0 then
    due = redis.call('ZCOUNT', finished_key, '-inf', ms_text(now_ms - max_age_ms))
  end
  if max_items >= 0 then
    due = math.max(due, redis.call('ZCARD', finished_key) - max_items)
  end
  return math.min(due, redis.call('ZCOUNT', finished_key, '-inf', ms_text(now_ms - spared_ms)))
end

local due = count_due()
local last = math.min(due, cursor + limit) - 1
local ids = cursor <= last and redis.call('ZRANGE', finished_key, cursor, last) or {}
local all_told = #ids == 0 or redis.call('EXISTS', UNTOLD) == 0
local removed = 0
for _, id in ipairs(ids) do
  if all_told or not redis.call('ZSCORE', UNTOLD, id) then
    local job_key = prefix .. id
    redis.call('DEL', job_key, job_key .. ':lock', job_key .. ':logs')
    redis.call('ZREM', finished_key, id)
    removed = removed + 1
  end
end
local has_more = #ids > 0 and last < due - 1
return { removed, has_more and cursor + #ids - removed or -1 }
