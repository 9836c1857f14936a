-- A damaged key must not stop the work around it: what is no hash has no fields.

local function fields_of(key, ...)
  local values = redis.pcall('HMGET', key, ...)
  return values.err and {} or values
end
