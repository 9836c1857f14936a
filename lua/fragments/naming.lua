-- The server does not say which key an error is about. What a script tells of its own keys (`--@diagnosed`) leaves out
-- those whose names are made of what jobs say.

-- The reply of a protected command; if that is an error, raises it with the name of the key.
local function of_key(key, reply)
  if type(reply) == 'table' and reply.err then
    error({ err = reply.err .. ': ' .. key })
  end
  return reply
end
