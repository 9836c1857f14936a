"""Storages: Redis and Valkey, and this process's memory. The only place that imports redis."""

from typing import TYPE_CHECKING

from taskora.contracts.loading import lazily

if TYPE_CHECKING:
    from taskora.wire.backends._embedded import EmbeddedServer
    from taskora.wire.backends._memory import MemoryBackend
    from taskora.wire.backends._open import Client, SyncTarget, Target, open_backend, open_sync_backend
    from taskora.wire.backends._redirection import redirected
    from taskora.wire.backends._redis import RedisBackend
    from taskora.wire.backends._redis_sync import SyncRedisBackend
    from taskora.wire.backends._transport import Transport
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "._embedded": "EmbeddedServer",
            "._memory": "MemoryBackend",
            "._open": "Client SyncTarget Target open_backend open_sync_backend",
            "._redirection": "redirected",
            "._redis": "RedisBackend",
            "._redis_sync": "SyncRedisBackend",
            "._transport": "Transport",
        },
    )

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
