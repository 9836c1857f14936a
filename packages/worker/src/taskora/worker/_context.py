"""What a handler knows of the attempt it is running, and can tell about it."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar

from taskora.contracts import Duration, JobCancelledError, RetryError, Signature, UsageError
from taskora.wire import Claim, JsonSerializer, LogEntry, LogLevel, encode_log
from taskora.worker._signal import CancelSignal
from taskora.worker._spawning import Spawned, encode_spawned

O = TypeVar("O")  # noqa: E741 - output

ReportKind: TypeAlias = Literal["progress", "log", "spawn"]

_JSON: Final = JsonSerializer()
# A handler in a thread and the event loop may be the first to ask for the signal at the same moment.
_FIRST_USE: Final = threading.Lock()


class ContextPort(Protocol):
    """Where a context's messages go. Every method may be called from any thread, and returns at once."""

    def report(self, kind: ReportKind, payload: bytes) -> None:
        """Sends progress, a log entry, or what the step shall be followed by."""
        ...

    def heartbeat(self) -> None:
        """Renews the lease now."""
        ...


class Context:
    """One attempt of one job.

    `task`, `data` and `result` may be changed by middleware: the handler gets `data`, and `result` is stored.

    Attributes:
        id: Id of the job.
        task: Name of the task.
        attempt: Number of this run, from 1.
        max_attempts: How many runs there may be.
        data: What the handler is given.
        result: What the handler returned.
        log: Writes to the job's log.
    """

    __slots__ = (
        "_claimed_ms",
        "_dispatched_ms",
        "_link",
        "_port",
        "_signal",
        "_timeout_ms",
        "attempt",
        "data",
        "id",
        "max_attempts",
        "result",
        "task",
    )

    def __init__(
        self,
        claim: Claim,
        port: ContextPort,
        *,
        task: str,
        max_attempts: int,
        timeout_ms: int | None,
        claimed_ms: int,
    ) -> None:
        self.id: Final = claim.job_id
        self.task = task
        self.attempt: Final = claim.attempt
        self.max_attempts: Final = max_attempts
        self.data: object = None
        self.result: object = None
        self._dispatched_ms = claim.timestamp_ms
        self._link = claim.link
        self._claimed_ms = claimed_ms
        self._port = port
        self._timeout_ms = timeout_ms
        self._signal: CancelSignal | None = None

    @property
    def timestamp(self) -> datetime:
        """When the job was dispatched."""
        return datetime.fromtimestamp(self._dispatched_ms / 1000, UTC)

    @property
    def deadline(self) -> datetime | None:
        """When this attempt will be stopped, by the server's clock; None if it may take as long as it takes."""
        if self._timeout_ms is None:
            return None
        return datetime.fromtimestamp(self._claimed_ms / 1000, UTC) + timedelta(milliseconds=self._timeout_ms)

    @property
    def log(self) -> "JobLog":
        """Writes to the job's log, which handles and the inspector show."""
        return JobLog(self._port)

    @property
    def cancelled(self) -> CancelSignal:
        """Set when the attempt should stop."""
        if self._signal is None:
            with _FIRST_USE:
                if self._signal is None:
                    self._signal = CancelSignal()
        return self._signal

    def progress(self, value: object) -> None:
        """Reports progress: a number, or any plain JSON value. Does not wait; order is kept."""
        self._port.report("progress", _JSON.dumps(value))

    def heartbeat(self) -> None:
        """Renews the lease now. Rarely needed: leases are renewed from a thread of their own."""
        self._port.heartbeat()

    def retry(self, *, delay: Duration | None = None, reason: str | None = None) -> RetryError:
        """An error to raise: run the job again, whatever the error filters say, while attempts remain."""
        return RetryError(delay=delay, reason=reason)

    def spawn(self, signature: Signature[Any, O]) -> "Spawned[O]":
        """Adds steps to the workflow that this job is a step of; they start once this attempt has its result.

        Steps that wait for this one wait for them too, and are given what the handler returns, as ever. A first step
        without data is given that as well. An attempt that fails has spawned nothing.

        Raises:
            UsageError: the job is no step of a workflow, or the signature breaks a rule.
            ValidationError: data does not fit its contract.
        """
        if self._link is None:
            raise UsageError("this job is no step of a workflow, and cannot spawn others: dispatch with a producer")
        plan, payload = encode_spawned(signature)
        self._port.report("spawn", payload)
        return Spawned(job_ids=tuple(plan.graph.steps[step].job_id for step in plan.output.steps))

    def raise_if_cancelled(self) -> None:
        """Raises `JobCancelledError` if the attempt should stop; its reason is that of the signal."""
        if self._signal is not None and self._signal.is_set():
            raise JobCancelledError(job_id=self.id, task=self.task, reason=self._signal.reason)


class JobLog:
    """Writes to a job's log. `meta` holds JSON values; what has no JSON form is written as its `repr`."""

    __slots__ = ("_port",)

    def __init__(self, port: ContextPort) -> None:
        self._port = port

    def info(self, message: str, **meta: object) -> None:
        """Logs what happened."""
        self._write("info", message, meta)

    def warn(self, message: str, **meta: object) -> None:
        """Logs what may be wrong."""
        self._write("warn", message, meta)

    def warning(self, message: str, **meta: object) -> None:
        """The same as `warn`: linters that take this for a logger of the standard library rename it."""
        self._write("warn", message, meta)

    def error(self, message: str, **meta: object) -> None:
        """Logs what is wrong."""
        self._write("error", message, meta)

    def _write(self, level: LogLevel, message: str, meta: dict[str, object]) -> None:
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        entry = LogEntry(level=level, message=message, timestamp_ms=now_ms, meta=meta or None)
        self._port.report("log", encode_log(entry))
