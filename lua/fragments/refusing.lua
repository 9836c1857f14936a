-- What becomes of outcomes and claims that find no place, since a key is damaged.
-- needs: active_key, prioritized_key, prefix, state, started, fields_of, in_batches, setbacks, seldom

local refusal = nil -- the first error of this call
local aside = {} -- jobs that can neither start nor be put elsewhere: id and where it was taken from, in turn

-- Jobs are active as before.
local function return_to_active(ids)
  for i = #ids, 1, -1 do
    redis.call('RPUSH', active_key, ids[i])
  end
end

-- Outcomes cannot be stored, and nothing of them is.
local function refuse(outcomes, why)
  local ids = {}
  for n = 1, #outcomes do
    if outcomes[n].fields[6] then
      seldom().forget_end(outcomes[n].id)
    end
    outcomes[n].fields = nil
    ids[n] = outcomes[n].id
  end
  return_to_active(ids)
  refusal = refusal or why
end

local function tell_refusal()
  error(refusal)
end

local function note_refusal(why)
  state.has_failed = true
  refusal = refusal or why
end

-- A place is damaged. What stands there stays, and holds up neither those of other places nor what this call tells. Any
-- other error stops the call: a read-only replica, say, must not tell what became of outcomes.
local function pass_over(why)
  if not string.find(type(why) == 'table' and why.err or why, 'WRONGTYPE', 1, true) then
    error(why)
  end
  note_refusal(why)
end

local function set_aside(id, source, why)
  aside[#aside + 1], aside[#aside + 2] = id, source
  note_refusal(why)
end

-- Jobs that were set aside go back to where they were taken from. They do not hold up those that could start; but a call
-- that has nothing else to tell tells why.
local function put_back(has_told)
  for n = #aside - 1, 1, -2 do
    if aside[n + 1] == prioritized_key then
      setbacks().queue_again(aside[n], 'declined', 0)
    else
      redis.call('RPUSH', aside[n + 1], aside[n])
    end
  end
  if refusal and not has_told then
    error(refusal)
  end
end

-- Claims that cannot be listed among the active have not been made.
local function undo_claims(why)
  for n = #started, 1, -1 do
    local id, job_key = started[n], prefix .. started[n]
    setbacks().queue_again(id, 'declined', 0)
    seldom().release_concurrency(fields_of(job_key, 'concurrencyKey')[1])
    setbacks().undo_start(job_key)
    redis.call('HSET', job_key, 'state', 'waiting')
    redis.call('DEL', job_key .. ':lock')
  end
  put_back(true)
  error(why)
end

-- More than one command takes. Like that command, it tells its error.
local function list_many(ids)
  local is_listed, why = pcall(in_batches, ids, 'LPUSH', active_key)
  return is_listed and #ids or why
end
