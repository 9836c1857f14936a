-- Pages of job ids in the order in which a listing shows them.
-- needs: wait_key, prioritized_key, delayed_key, prefix, state, offset, limit, after

local PAGE = 1000
local LOOKED_AT_ONCE = 5000

local function newest_last(list_key, first, count)
  local ids = {}
  if count > 0 then
    local slice = redis.call('LRANGE', list_key, -(first + count), -(first + 1))
    for i = #slice, 1, -1 do
      ids[#ids + 1] = slice[i]
    end
  end
  return ids
end

-- Adds what the page still lacks from one source, given its size and how to read a range of it.
local function add_page(ids, seen, size, read)
  local first = math.max(offset - seen, 0)
  if #ids < limit and first < size then
    for _, id in ipairs(read(first, math.min(limit - #ids, size - first))) do
      ids[#ids + 1] = id
    end
  end
  return seen + size
end

local function zset_page(key)
  return function(first, count)
    return redis.call('ZRANGE', key, first, first + count - 1)
  end
end

local function list_page(key)
  return function(first, count)
    return newest_last(key, first, count)
  end
end

local function waiting_ids()
  local ids = {}
  local freed = prefix .. 'parked:freed'
  local seen = add_page(ids, 0, redis.call('ZCARD', prioritized_key), zset_page(prioritized_key))
  seen = add_page(ids, seen, redis.call('LLEN', freed), list_page(freed))
  seen = add_page(ids, seen, redis.call('LLEN', wait_key), list_page(wait_key))
  for _, concurrency_key in ipairs(redis.call('ZRANGE', prefix .. 'parked:keys', 0, -1)) do
    if #ids == limit then
      break
    end
    local key = prefix .. 'parked:key:' .. concurrency_key
    seen = add_page(ids, seen, redis.call('ZCARD', key), zset_page(key))
  end
  return ids
end

-- Returns ids, and where to go on if there may be more.
local function delayed_ids()
  local ids, skipped = {}, 0
  for first = after, after + LOOKED_AT_ONCE - 1, PAGE do
    local page = redis.call('ZRANGE', delayed_key, first, first + PAGE - 1)
    for _, id in ipairs(page) do
      if redis.pcall('HGET', prefix .. id, 'state') ~= state then
        -- of the other kind, or a ghost
      elseif skipped < offset then
        skipped = skipped + 1
      else
        ids[#ids + 1] = id
        if #ids == limit then
          return ids, {}
        end
      end
    end
    if #page < PAGE then
      return ids, {}
    end
  end
  return ids, { after + LOOKED_AT_ONCE, skipped }
end
