"""Storages: Redis and Valkey, and this process's memory. The only place that imports redis."""

from taskora.wire.backends._embedded import EmbeddedServer
from taskora.wire.backends._memory import MemoryBackend
from taskora.wire.backends._open import Client, SyncTarget, Target, open_backend, open_sync_backend
from taskora.wire.backends._redirection import redirected
from taskora.wire.backends._redis import RedisBackend
from taskora.wire.backends._redis_sync import SyncRedisBackend
from taskora.wire.backends._transport import Transport

__all__ = [
    "Client",
    "EmbeddedServer",
    "MemoryBackend",
    "RedisBackend",
    "SyncRedisBackend",
    "SyncTarget",
    "Target",
    "Transport",
    "open_backend",
    "open_sync_backend",
    "redirected",
]
