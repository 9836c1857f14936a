-- The outcomes of an exchange. Where all are plain jobs that completed, and nothing was added to their records since
-- they were claimed, nothing of these is read.
-- needs: prefix, active_key, completed_key, stalled_key, events_key, now, now_ms, reply, others, failing, call, try, given, OUTCOMES

if #given >= OUTCOMES then
  local MOST, PLAIN_FIELDS = 1000, 8
  local count, n = (#given - OUTCOMES + 1) / 3, 0
  local ids, job_keys, lock_keys, completed, place_of = {}, {}, {}, {}, {}
  local all_plain = count <= MOST
  if all_plain then
    for i = OUTCOMES + 1, #given, 3 do
      n = n + 1
      ids[n], job_keys[n] = given[i], prefix .. given[i]
      lock_keys[n] = job_keys[n] .. ':lock'
    end
    local holders, holder, ending = call('MGET', unpack(lock_keys)), nil, nil
    for i = 1, count do
      if holders[i] ~= holder then
        holder = holders[i]
        ending = holder and '+' .. holder
      end
      local id = ids[i]
      if given[OUTCOMES + 3 * i - 3] ~= ending or place_of[id] or try('HLEN', job_keys[i]) ~= PLAIN_FIELDS then
        all_plain = false
        break
      end
      place_of[id] = i
      completed[2 * i - 1], completed[2 * i] = now, id
    end
  end

  if all_plain then
    -- Those that run for longest mostly end first: they are taken off the end at once.
    -- It comes before every other write: a server that is out of memory permits it, and then permits the rest.
    local oldest, found = call('RPOP', active_key, count == 1 and '1' or count) or {}, 0
    for i = 1, #oldest do
      if place_of[oldest[i]] then
        place_of[oldest[i]] = nil -- other programs may have listed it twice
        found = found + 1
      end
    end
    if found < count then
      others().correct_active(oldest, ids)
    end
    local listed = try('ZADD', completed_key, unpack(completed))
    if listed ~= count and type(listed) == 'table' then
      failing().return_to_active(ids)
      error(listed)
    end
    for i = 1, count do
      call('HSET', job_keys[i], 'state', 'completed', 'finishedOn', now, 'result', given[OUTCOMES + 3 * i - 1])
      try('XADD', events_key, '*', 'event', 'completed', 'jobId', ids[i], 'attempt', '1')
    end
    call('DEL', unpack(lock_keys))
    try('SREM', stalled_key, unpack(ids))
    local counter = prefix .. 'metrics:completed:' .. string.format('%d0000', math.floor(now_ms / 60000) * 6)
    if (count == 1 and try('INCR', counter) or try('INCRBY', counter, count)) == count then
      call('EXPIRE', counter, '86400')
    end
    reply[3] = string.rep('1', count)
  else
    reply[3] = others().settle_all()
  end
end
