"""Testing what is built with taskora, without a server."""

from taskora.testing._backend import ObservedBackend, ObservedSyncBackend
from taskora.testing._clock import VirtualClock
from taskora.testing._contract_checks import assert_handles
from taskora.testing._fake_worker import FakeWorker, fake_worker
from taskora.testing._golden import assert_golden_payloads, record_golden
from taskora.testing._reports import Execution, Moment, ParkedJob, ParkReason, ProcessReport, Step
from taskora.testing._runner import TestRunner
from taskora.wire.backends import MemoryBackend

__all__ = [
    "Execution",
    "FakeWorker",
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
    "assert_golden_payloads",
    "assert_handles",
    "fake_worker",
    "record_golden",
]
