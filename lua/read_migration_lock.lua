-- read_migration_lock: reads only
--
-- Called before the handshake: while somebody rewrites the keyspace, nobody else may change it.
--
-- returns: bytes  the JSON text of the lock, or empty
-- emits: nothing
local migration_lock_key = KEYS[1]  -- string  who migrates what, and for how long

return redis.call('GET', migration_lock_key) or ''
