"""Time that only tests move."""

from taskora.testing.conformance import START_MS, VirtualClock

__all__ = ["START_MS", "VirtualClock"]
