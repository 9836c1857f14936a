"""Running jobs: handlers, leases, retries, cancellation, shutdown."""

from typing import TYPE_CHECKING

from taskora.contracts.loading import lazily

if TYPE_CHECKING:
    from taskora.worker._config import Defaults, Keep, Retention, SchedulerConfig
    from taskora.worker._context import Context, JobLog
    from taskora.worker._declared_schedules import DeclaredSchedules
    from taskora.worker._decoding import decode_input
    from taskora.worker._handlers import CallNext, Handler, Middleware, OnCancel
    from taskora.worker._implementation import Implementation, RunOptions
    from taskora.worker._listeners import WorkerEvent
    from taskora.worker._loan import Declared, Loan
    from taskora.worker._rehearsal import Rehearsal
    from taskora.worker._scheduler import Scheduler
    from taskora.worker._signal import CancelSignal
    from taskora.worker._signals import fast_event_loop
    from taskora.worker._spawning import Spawned
    from taskora.worker._task import Implement, WorkerTask
    from taskora.worker._time_sources import TimeSource
    from taskora.worker._worker import Worker
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "._config": "Defaults Keep Retention SchedulerConfig",
            "._context": "Context JobLog",
            "._declared_schedules": "DeclaredSchedules",
            "._decoding": "decode_input",
            "._handlers": "CallNext Handler Middleware OnCancel",
            "._implementation": "Implementation RunOptions",
            "._listeners": "WorkerEvent",
            "._loan": "Declared Loan",
            "._rehearsal": "Rehearsal",
            "._scheduler": "Scheduler",
            "._signal": "CancelSignal",
            "._signals": "fast_event_loop",
            "._spawning": "Spawned",
            "._task": "Implement WorkerTask",
            "._time_sources": "TimeSource",
            "._worker": "Worker",
        },
    )

__all__ = [
    "CallNext",
    "CancelSignal",
    "Context",
    "Declared",
    "DeclaredSchedules",
    "Defaults",
    "Handler",
    "Implement",
    "Implementation",
    "JobLog",
    "Keep",
    "Loan",
    "Middleware",
    "OnCancel",
    "Rehearsal",
    "Retention",
    "RunOptions",
    "Scheduler",
    "SchedulerConfig",
    "Spawned",
    "TimeSource",
    "Worker",
    "WorkerEvent",
    "WorkerTask",
    "decode_input",
    "fast_event_loop",
]
