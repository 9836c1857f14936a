"""Running jobs: handlers, leases, retries, cancellation, shutdown."""

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
