"""Testing what is built with taskora, without a server."""

from taskora.testing._backend import ObservedBackend, ObservedSyncBackend
from taskora.testing._clock import VirtualClock
from taskora.testing._reports import Execution, Moment, ParkedJob, ParkReason, ProcessReport, Step
from taskora.testing._runner import TestRunner
from taskora.wire.backends import MemoryBackend

__all__ = [
    "Execution",
    "MemoryBackend",
    "Moment",
    "ObservedBackend",
    "ObservedSyncBackend",
    "ParkReason",
    "ParkedJob",
    "ProcessReport",
    "Step",
    "TestRunner",
    "VirtualClock",
]
