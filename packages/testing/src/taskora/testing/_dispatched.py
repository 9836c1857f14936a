"""What was asked of a storage by somebody who dispatches, as data."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from taskora.wire import (
    Collected,
    Collecting,
    Control,
    ControlledJob,
    CreateWorkflow,
    DispatchOccurrences,
    Enqueue,
    EnqueueControlled,
    EnqueueSteps,
    Occurrence,
    Operation,
    PushCollect,
    StepJob,
    Verdict,
)
from taskora.wire import Dispatched as RunsDispatched

I = TypeVar("I")  # noqa: E741 - input
D = TypeVar("D")

Fate: TypeAlias = Literal["created", "taken", "throttled", "duplicate", "updated", "collected", "full"]

_FATES: Final[dict[bool | Verdict | Collecting, Fate]] = {
    True: "created",
    False: "taken",
    Verdict.TAKEN: "taken",
    Verdict.CREATED: "created",
    Verdict.THROTTLED: "throttled",
    Verdict.DUPLICATE: "duplicate",
    Verdict.UPDATED: "updated",
    Collecting.WAITING: "collected",
    Collecting.FLUSHED: "collected",
    Collecting.FULL: "full",
    Collecting.REPEATED: "taken",
}
_ACCEPTED: Final = ("created", "updated", "collected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched(Generic[I]):
    """One dispatch, as the code under test asked for it.

    Attributes:
        data: The payload, decoded as the contract says.
        job_id: The id that the dispatch proposed; by default a random one.
        fate: `created` a job, `updated` the payload of one that waits, or was `collected` into a batch. Not accepted:
            the id was `taken`, it was `throttled`, a `duplicate`, or its batch was `full`.
        prefix: That of the producer.
        delay: How long the job waits before it may run.
        priority: 0 if none was asked for.
        ttl: How long it may wait for its first start, if there is a limit.
        lifo: Whether it leaves before those that wait.
        concurrency_key: The key whose jobs run so many at a time.
        concurrency_limit: How many, if the dispatch said so.
        control: What flow control was asked for, if any: `debounce`, `throttle`, `deduplicate`, `deduplicate_for` a
            window of time, `keep_latest`, or `collect`.
        key: The key of that control.
        workflow_id: The workflow whose step this job is, if any.
        schedule: The schedule whose run this job is, if any.
    """

    data: I
    task: str
    job_id: str
    fate: Fate = "created"
    prefix: str | None = None
    delay: timedelta = timedelta(0)
    priority: int = 0
    ttl: timedelta | None = None
    lifo: bool = False
    concurrency_key: str | None = None
    concurrency_limit: int | None = None
    control: str | None = None
    key: str | None = None
    workflow_id: str | None = None
    schedule: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the payload will run."""
        return self.fate in _ACCEPTED

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self._options() if value]
        return " ".join([repr(self.data), *options])

    def _options(self) -> Iterator[tuple[str, object]]:
        names = (
            "delay",
            "priority",
            "ttl",
            "lifo",
            "concurrency_key",
            "concurrency_limit",
            "control",
            "key",
            "prefix",
            "workflow_id",
            "schedule",
        )
        yield from ((name, getattr(self, name)) for name in names)
        if self.fate != "created":
            yield "fate", self.fate


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchedWorkflow:
    """One workflow, as the code under test asked for it.

    Attributes:
        name: What it was called.
        tasks: The task of each step, in the order of the steps; those of steps that wait are not dispatched yet.
        ttl: How long it may take, if there is a limit.
        prefix: That of the producer.
    """

    workflow_id: str
    name: str
    tasks: tuple[str, ...]
    ttl: timedelta | None = None
    prefix: str | None = None


def dispatches(operation: Operation[Any], reply: Any, prefix: str | None) -> list[Dispatched[bytes]]:
    """The dispatches of an operation that was carried out, payloads as they were sent; none for other operations."""
    fates: list[Fate]
    match operation:
        case Enqueue():
            jobs = [ControlledJob(job=job) for job in operation.jobs]
            fates = [_FATES[created] for created in reply]
        case EnqueueControlled():
            jobs = list(operation.jobs)
            fates = [_FATES[admission.verdict] for admission in reply]
        case EnqueueSteps():
            return [_step(step, _FATES[created], prefix) for step, created in zip(operation.steps, reply, strict=True)]
        case DispatchOccurrences():
            runs = operation.jobs if reply is RunsDispatched.DONE else ()
            return [_run(operation, run, prefix) for run in runs]
        case PushCollect():
            return [_pushed(operation, reply, prefix)]
        case _:
            return []
    return [_asked(operation.task, job, fate, prefix) for job, fate in zip(jobs, fates, strict=True)]


def _asked(task: str, asked: ControlledJob, fate: Fate, prefix: str | None) -> Dispatched[bytes]:
    job, latest = asked.job, asked.control is Control.KEEP_LATEST
    delay_ms = asked.period_ms if asked.control is Control.DEBOUNCE else job.delay_ms
    return Dispatched(
        data=job.data,
        task=task,
        job_id=job.job_id,
        fate=fate,
        prefix=prefix,
        delay=timedelta(milliseconds=delay_ms),
        priority=job.priority,
        ttl=timedelta(milliseconds=job.ttl_ms) if job.ttl_ms else None,
        lifo=asked.lifo,
        concurrency_key=None if latest else asked.concurrency_key or None,
        concurrency_limit=None if latest else asked.concurrency_limit or None,
        control=asked.control.value or None,
        key=asked.key or None,
    )


def _step(step: StepJob, fate: Fate, prefix: str | None) -> Dispatched[bytes]:
    return Dispatched(
        data=step.data, task=step.task, job_id=step.job_id, fate=fate, prefix=prefix, workflow_id=step.workflow_id
    )


def _run(operation: DispatchOccurrences, run: Occurrence, prefix: str | None) -> Dispatched[bytes]:
    return Dispatched(
        data=run.data,
        task=operation.task,
        job_id=run.job_id,
        prefix=prefix,
        delay=timedelta(milliseconds=run.delay_ms),
        ttl=timedelta(milliseconds=run.ttl_ms) if run.ttl_ms else None,
        schedule=operation.schedule,
    )


def workflow_of(operation: Operation[Any], reply: Any, prefix: str | None) -> DispatchedWorkflow | None:
    """The workflow that an operation created, if it did."""
    if not isinstance(operation, CreateWorkflow) or not reply:
        return None
    return DispatchedWorkflow(
        workflow_id=operation.workflow_id,
        name=operation.graph.name,
        tasks=tuple(step.task for step in operation.graph.steps),
        ttl=timedelta(milliseconds=operation.ttl_ms) if operation.ttl_ms else None,
        prefix=prefix,
    )


def _pushed(operation: PushCollect, reply: Collected, prefix: str | None) -> Dispatched[bytes]:
    return Dispatched(
        data=operation.item,
        task=operation.task,
        job_id=operation.job_id,
        fate=_FATES[reply.collecting],
        prefix=prefix,
        delay=timedelta(milliseconds=operation.delay_ms),
        control="collect",
        key=operation.key,
    )
