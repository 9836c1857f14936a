-- Which concurrency key each active job holds a slot of. It never changes, so thousands of jobs may be asked for it over
-- several calls: what one has read is kept for the next, and '' says that a job has none.
-- needs: prefix, in_batches, looked_up, fields_of

local PAGE = 500
local LEARNT = prefix .. 'parked:learnt' -- hash
local LEARNT_MS = 60000

local function learn_keys(ids)
  local pairs_of = {}
  for _, id in ipairs(ids) do
    pairs_of[#pairs_of + 1] = id
    pairs_of[#pairs_of + 1] = fields_of(prefix .. id, 'concurrencyKey')[1] or ''
  end
  in_batches(pairs_of, 'HSET', LEARNT)
  redis.call('PEXPIRE', LEARNT, LEARNT_MS)
end

local function learnt_keys(ids)
  return looked_up(ids, 'HMGET', LEARNT)
end

-- Returns the key of each active job, or nothing as long as too many have to be learnt.
local function keys_of_active(active)
  local keys, unknown, places = learnt_keys(active), {}, {}
  for i, id in ipairs(active) do
    if not keys[i] and #unknown < PAGE then
      unknown[#unknown + 1] = id
      places[#places + 1] = i
    elseif not keys[i] then
      learn_keys(unknown)
      return nil
    end
  end
  for i, id in ipairs(unknown) do
    keys[places[i]] = fields_of(prefix .. id, 'concurrencyKey')[1] or ''
  end
  return keys
end
