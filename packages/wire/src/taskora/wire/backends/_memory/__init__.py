"""A storage in the memory of this process: no server, its own clock, the same transitions."""

from taskora.wire.backends._memory._backend import MemoryBackend
from taskora.wire.backends._memory._shared import shared_memory

__all__ = ["MemoryBackend", "shared_memory"]
