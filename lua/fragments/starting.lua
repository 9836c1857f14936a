-- The claims of an exchange: ready jobs become active. The claimer's token is stored beside each, with a lifetime.
-- needs: prefix, wait_key, prioritized_key, active_key, delayed_key, marker_key, events_key, token, lease_ms, slots
-- needs: resend, max_version, limits, now, now_ms, reply, started, state, others, seldom, failing, call, try

-- One look is enough where nothing is delayed, nothing has a priority, and nothing is parked.
local PARKED_KEYS, FREED, NEWER = prefix .. 'parked:keys', prefix .. 'parked:freed', prefix .. 'parked:newer'
local is_simple = call('EXISTS', delayed_key, prioritized_key, FREED, PARKED_KEYS, NEWER) == 0
local parks = false
local first_due = {}
if not is_simple then
  first_due = try('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
  if first_due.err then
    failing().pass_over(first_due)
  elseif first_due[2] and tonumber(first_due[2]) <= now_ms then
    seldom().unless_damaged(seldom().promote_due)
  end
  parks = call('EXISTS', FREED, PARKED_KEYS, NEWER) > 0
  if parks then
    seldom().unless_damaged(seldom().take_newer)
    seldom().unless_damaged(seldom().recheck_parked)
  end
end
if resend == '1' then
  slots = failing().reclaim_own(slots)
end
if limits ~= '' then
  slots = seldom().unless_damaged(seldom().paced, slots) or 0
end

local HEAD, PLAIN_FIELDS, MORE_TRIES = 4, 7, 1000
-- Priorities are strict: the prioritized set is emptied first, highest priority first; then those come that were freed.
local sources = is_simple and { wait_key } or { prioritized_key, parks and FREED or wait_key, parks and wait_key or nil }
local all_plain, is_empty, is_trimmed = true, false, false
local count, size = 0, #reply
for s = 1, #sources do
  local source, tries = sources[s], slots + MORE_TRIES
  is_empty = false
  if source == FREED then
    seldom().try_freed()
  end
  -- A source that holds nothing but jobs that may not start must not hold the server for long.
  while count < slots and tries > 0 and not is_empty do
    local wanted, ids = slots - count, nil
    if wanted > tries then
      wanted = tries
    end
    if source == prioritized_key then
      ids = others().pop_prioritized(wanted)
    else
      ids = try('RPOP', source, wanted == 1 and '1' or wanted) or {}
    end
    if ids.err then
      failing().pass_over(ids)
    end
    tries = tries - #ids
    is_empty = #ids == 0 or #ids < wanted and source == wait_key -- nothing joins the list meanwhile
    for i = 1, #ids do
      local id = ids[i]
      local job_key, fields = prefix .. id, nil
      if limits == '' and try('HLEN', job_key) == PLAIN_FIELDS then
        fields = call('HMGET', job_key, 'data', '_v', 'attempt', 'ts', 'state', 'priority', 'maxAttempts')
      end
      -- A job that has nothing but what every record has: nothing of it could forbid its start.
      if fields and fields[1] and fields[2] and fields[3] == '1' and fields[4] and fields[5] == 'waiting' and fields[6]
        and fields[7] and (fields[2] == max_version or (tonumber(fields[2]) or 0) <= tonumber(max_version)) then
        if try('PSETEX', job_key .. ':lock', lease_ms, token).err then -- which few lists of permissions may know
          call('SET', job_key .. ':lock', token, 'PX', lease_ms)
        end
        call('HSET', job_key, 'state', 'active', 'processedOn', now)
        if is_trimmed then
          try('XADD', events_key, '*', 'event', 'active', 'jobId', id, 'attempt', '1')
        else
          is_trimmed = true
          try('XADD', events_key, 'MAXLEN', '~', '10000', '*', 'event', 'active', 'jobId', id, 'attempt', '1')
        end
        count = count + 1
        started[count] = id
        reply[size + 1], reply[size + 2], reply[size + 3] = id, fields[1], fields[2]
        reply[size + 4], reply[size + 5] = '', fields[4]
        size = size + 5
      else
        all_plain = false
        others().start_or_set_aside(id, job_key, source)
        count, size = #started, #reply
      end
    end
  end
  if source == FREED then
    seldom().park_again()
  end
end

if count > 0 then
  local MOST = 4000
  local listed = count <= MOST and try('LPUSH', active_key, unpack(started)) or failing().list_many(started)
  if type(listed) ~= 'number' then
    failing().undo_claims(listed)
  end
end
if state.has_failed then
  failing().put_back(size > HEAD or reply[3] ~= '')
end
if limits ~= '' then
  seldom().count_starts()
end

if parks or state.moved_delayed then
  first_due = try('ZRANGE', delayed_key, '0', '0', 'WITHSCORES')
end
reply[2] = first_due[2] and tonumber(first_due[2]) or -1
local is_drained = is_simple and all_plain and is_empty
if not is_drained and call('EXISTS', wait_key, prioritized_key, FREED) > 0 then
  -- Jobs that may not start before a known instant: looking at once would spin.
  try('ZADD', marker_key, state.paced_until or '0', '0')
elseif reply[2] >= 0 then
  try('ZADD', marker_key, string.format('%.0f', reply[2]), '0')
end
reply[4] = state.links or ''
