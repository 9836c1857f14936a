"""Testing what is built with taskora, without a server."""

from taskora.wire.backends import MemoryBackend

__all__ = ["MemoryBackend"]
