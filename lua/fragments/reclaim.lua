-- The reply to an earlier execution of this call was lost: what it claimed still carries its token. Whoever gets it
-- now has the whole lease before it, as with any claim.
-- needs: active_key, stalled_key, prefix, token, lease_ms, fields_of, reply, add_link, told_of

-- Returns how many slots are left.
local function reclaim_own(slots)
  local before = #reply
  local active = redis.call('LRANGE', active_key, 0, -1)
  for i = #active, 1, -1 do
    local id = active[i]
    local job_key = prefix .. id
    if redis.pcall('GET', job_key .. ':lock') == token then
      redis.call('PEXPIRE', job_key .. ':lock', lease_ms)
      redis.pcall('SREM', stalled_key, id)
      local fields = fields_of(job_key, 'data', '_v', 'attempt', 'ts', '_wf', 'stalledCount')
      for _, value in ipairs({ id, fields[1] or '', fields[2] or '0', told_of(fields[3], fields[6]), fields[4] or '0' }) do
        reply[#reply + 1] = value
      end
      if fields[5] then
        add_link(id, fields[5])
      end
    end
  end
  return slots - (#reply - before) / 5
end
