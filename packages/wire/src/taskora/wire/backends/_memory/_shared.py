"""Stores that have a name: what `memory://` URLs stand for."""

import threading
from typing import Final

from taskora.contracts import UsageError
from taskora.wire.backends._memory._backend import MemoryBackend
from taskora.wire.backends._memory._store import Store, WallClock

_SCHEME: Final = "memory://"

_lock: Final = threading.Lock()
_stores: Final[dict[tuple[str, str | None], Store]] = {}


def shared_memory(url: str, *, prefix: str | None) -> MemoryBackend:
    """A backend of this process's store of that name and prefix. Stores live as long as the process.

    Raises:
        UsageError: `url` is neither `memory://` nor `memory://name`.
    """
    name = url.removeprefix(_SCHEME)
    if not url.startswith(_SCHEME) or any(mark in name for mark in "/?#@:"):
        raise UsageError.for_field("url", url, "memory:// or memory://name")
    with _lock:
        store = _stores.get((name, prefix))
        if store is None:
            store = _stores[name, prefix] = Store(WallClock())
    return MemoryBackend._over(store)
