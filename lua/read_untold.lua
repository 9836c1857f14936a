-- read_untold: reads only
--
-- Called by sweepers: jobs of workflows that ended some time ago, and whose workflow may not know.
--
-- returns: list[list[bytes | None]]  {job_id, workflow_id, step, state, result, error, cancel_reason, settled_by}, oldest first
-- emits: nothing
--@diagnosed
local prefix = KEYS[1]               -- prefix  every key of the task starts with it

local given_now_ms = ARGV[1]         -- clock   epoch milliseconds, or empty for the server's clock
local min_age_ms = tonumber(ARGV[2])  -- int    how long ago they ended, at least
local limit = tonumber(ARGV[3])      -- int     at most this many

--@include clock
--@include fields
--@include telling

local rows = {}
for _, id in ipairs(redis.call('ZRANGE', UNTOLD, '-inf', ms_text(now_ms - min_age_ms), 'BYSCORE', 'LIMIT', 0, limit)) do
  local row = fields_of(prefix .. id, '_wf', '_wfNode', 'state', 'result', 'error', 'cancelReason',
    'py:settledBy')
  for i = 1, 7 do
    row[i] = row[i] or ''
  end
  table.insert(row, 1, id)
  rows[#rows + 1] = row
end
return rows
