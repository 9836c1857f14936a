"""Testing what is built with taskora, without a server.

Names are loaded when they are asked for: pytest imports this package at its start, wherever it is installed.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskora.testing._backend import ObservedBackend, ObservedSyncBackend
    from taskora.testing._clock import VirtualClock
    from taskora.testing._contract_checks import assert_handles
    from taskora.testing._dispatched import Dispatched, DispatchedWorkflow
    from taskora.testing._fake_worker import FakeWorker, fake_worker
    from taskora.testing._golden import assert_golden_payloads, record_golden
    from taskora.testing._outbox import Outbox, open_outbox
    from taskora.testing._reports import Execution, Moment, ParkedJob, ParkReason, ProcessReport, Step
    from taskora.testing._runner import TestRunner
    from taskora.wire.backends import MemoryBackend

__all__ = [
    "Dispatched",
    "DispatchedWorkflow",
    "Execution",
    "FakeWorker",
    "MemoryBackend",
    "Moment",
    "ObservedBackend",
    "ObservedSyncBackend",
    "Outbox",
    "ParkReason",
    "ParkedJob",
    "ProcessReport",
    "Step",
    "TestRunner",
    "VirtualClock",
    "assert_golden_payloads",
    "assert_handles",
    "fake_worker",
    "open_outbox",
    "record_golden",
]

_HOMES: Final = {
    "Dispatched": "taskora.testing._dispatched",
    "DispatchedWorkflow": "taskora.testing._dispatched",
    "Execution": "taskora.testing._reports",
    "FakeWorker": "taskora.testing._fake_worker",
    "MemoryBackend": "taskora.wire.backends",
    "Moment": "taskora.testing._reports",
    "ObservedBackend": "taskora.testing._backend",
    "ObservedSyncBackend": "taskora.testing._backend",
    "Outbox": "taskora.testing._outbox",
    "ParkReason": "taskora.testing._reports",
    "ParkedJob": "taskora.testing._reports",
    "ProcessReport": "taskora.testing._reports",
    "Step": "taskora.testing._reports",
    "TestRunner": "taskora.testing._runner",
    "VirtualClock": "taskora.testing._clock",
    "assert_golden_payloads": "taskora.testing._golden",
    "assert_handles": "taskora.testing._contract_checks",
    "fake_worker": "taskora.testing._fake_worker",
    "open_outbox": "taskora.testing._outbox",
    "record_golden": "taskora.testing._golden",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
