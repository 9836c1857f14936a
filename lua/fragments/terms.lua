-- What a new job asks for beside being run, in one text: empty, or 'delay_ms priority ttl_ms'.
-- needs: create

local function create_as(id, data, terms)
  local delay_ms, priority, ttl_ms = string.match(terms, '^(%d+) (-?%d+) (%d+)$')
  create(id, data, tonumber(delay_ms or '0'), tonumber(priority or '0'), tonumber(ttl_ms or '0'), false, {})
end
