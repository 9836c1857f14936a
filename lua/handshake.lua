-- handshake: meta record (none) -> written
--
-- Called once per process before the first command. The first one writes what it speaks; everybody gets what is
-- stored, unchanged, and judges it.
--
-- returns: list[bytes]  {wireVersion, minCompat, writtenBy, writtenAt}, missing ones empty
-- emits: nothing
--@diagnosed
local meta_key = KEYS[1]      -- hash   who wrote this keyspace, and who may read it

local given_now_ms = ARGV[1]  -- clock  epoch milliseconds, or empty for the server's clock
local wire_version = ARGV[2]  -- int
local min_compat = ARGV[3]    -- int
local written_by = ARGV[4]    -- str

--@include clock
--@include fields

if redis.call('EXISTS', meta_key) == 0 then
  redis.call('HSET', meta_key, 'wireVersion', wire_version, 'minCompat', min_compat, 'writtenBy', written_by,
    'writtenAt', now)
end
local stored = fields_of(meta_key, 'wireVersion', 'minCompat', 'writtenBy', 'writtenAt')
for i = 1, 4 do
  stored[i] = stored[i] or ''
end
return stored
