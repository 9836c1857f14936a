"""Testing what is built with taskora, without a server.

Names are loaded when they are asked for: pytest imports this package at its start, wherever it is installed.
"""

from typing import TYPE_CHECKING

from taskora.contracts.loading import lazily

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
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "._backend": "ObservedBackend ObservedSyncBackend",
            "._clock": "VirtualClock",
            "._contract_checks": "assert_handles",
            "._dispatched": "Dispatched DispatchedWorkflow",
            "._fake_worker": "FakeWorker fake_worker",
            "._golden": "assert_golden_payloads record_golden",
            "._outbox": "Outbox open_outbox",
            "._reports": "Execution Moment ParkReason ParkedJob ProcessReport Step",
            "._runner": "TestRunner",
            "taskora.wire.backends": "MemoryBackend",
        },
    )

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
