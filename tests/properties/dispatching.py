"""Rules of producers: jobs, with and without flow control, and batches."""

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, multiple, precondition, rule

from taskora.contracts import JobState
from taskora.wire import (
    Control,
    ControlledJob,
    Enqueue,
    EnqueueControlled,
    NewJob,
    Operation,
    PushCollect,
    ReadCollect,
)
from tests.properties.pair import MINUTE_MS, Name, Pair, jobs, tasks

PENDING: Final = (JobState.WAITING, JobState.DELAYED)
UNFINISHED: Final = (*PENDING, JobState.ACTIVE, JobState.RETRYING)

# What a job may ask for, by the words that histories show.
KINDS: Final[Mapping[str, dict[str, int]]] = {
    "plain": {},
    "soon": {"delay_ms": 1},
    "later": {"delay_ms": 30_000},
    "urgent": {"priority": 5},
    "less urgent": {"priority": 1},
    "below all": {"priority": -1},
    "urgent, later": {"priority": 5, "delay_ms": 30_000},
    "brief": {"ttl_ms": 10_000},
    "brief, later": {"ttl_ms": 10_000, "delay_ms": 30_000},
    "urgent, brief": {"ttl_ms": 10_000, "priority": 5},
}
CONTROLS: Final[Mapping[str, dict[str, Any]]] = {
    "none": {},
    "debounce": {"control": Control.DEBOUNCE, "period_ms": MINUTE_MS},
    "one a minute": {"control": Control.THROTTLE, "amount": 1, "period_ms": MINUTE_MS},
    "two in two minutes": {"control": Control.THROTTLE, "amount": 2, "period_ms": 2 * MINUTE_MS},
    "unique while pending": {"control": Control.DEDUPLICATE, "states": PENDING},
    "unique while unfinished": {"control": Control.DEDUPLICATE, "states": UNFINISHED},
    "unique for a minute": {"control": Control.DEDUPLICATE_FOR, "period_ms": MINUTE_MS},
    "keep latest": {"control": Control.KEEP_LATEST},
}
LIMITS: Final[Mapping[str, dict[str, Any]]] = {
    "none": {},
    "one of x": {"concurrency_key": "x", "concurrency_limit": 1},
    "two of x": {"concurrency_key": "x", "concurrency_limit": 2},
    "one of y": {"concurrency_key": "y", "concurrency_limit": 1},
    "x, as the worker says": {"concurrency_key": "x"},
}
kinds = st.sampled_from([*KINDS])
controls = st.sampled_from([*CONTROLS])
limits = st.sampled_from([*LIMITS])
versions = st.sampled_from([1, 1, 1, 2])
control_keys = st.sampled_from("ab")
payloads = st.sampled_from([b"1", b"2"])


def has_sent(machine: "Dispatching") -> bool:
    """Whether there is a request to repeat."""
    return bool(machine.sent)


class Dispatching(Pair):
    """What producers ask for."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.sent: list[Operation[Any]] = []

    def send(self, dispatch: Operation[Any]) -> None:
        self.sent.append(dispatch)
        self.both(dispatch)

    @rule(target=jobs, task=tasks, kinds=st.lists(kinds, min_size=1, max_size=3), version=versions)
    def enqueue(self, task: str, kinds: list[str], version: int) -> MultipleResults[Name]:
        new = [self._new(kind) for kind in kinds]
        self.send(Enqueue(task=task, version=version, max_attempts=3, jobs=new))
        return multiple(*(Name(task, job.job_id) for job in new))

    @rule(
        target=jobs,
        task=tasks,
        wanted=st.lists(st.tuples(kinds, controls, limits), min_size=1, max_size=3),
        key=control_keys,
        lifo=st.booleans(),
        data=payloads,
        version=versions,
    )
    def dispatch(
        self, task: str, wanted: list[tuple[str, str, str]], key: str, lifo: bool, data: bytes, version: int
    ) -> MultipleResults[Name]:
        new = [
            ControlledJob(job=self._new(kind, data), lifo=lifo, key=key, **CONTROLS[control], **LIMITS[limit])
            for kind, control, limit in wanted
        ]
        self.send(EnqueueControlled(task=task, version=version, max_attempts=3, jobs=new))
        return multiple(*(Name(task, controlled.job.job_id) for controlled in new))

    @rule(target=jobs, task=tasks, count=st.integers(1, 3), limit=limits, kind=kinds)
    def dispatch_of_a_concurrency_key(self, task: str, count: int, limit: str, kind: str) -> MultipleResults[Name]:
        new = [ControlledJob(job=self._new(kind), **LIMITS[limit]) for _ in range(count)]
        self.send(EnqueueControlled(task=task, version=1, max_attempts=3, jobs=new))
        return multiple(*(Name(task, controlled.job.job_id) for controlled in new))

    dispatch_of_a_concurrency_key_2 = dispatch_of_a_concurrency_key

    @rule(name=jobs, kind=kinds, control=controls, key=control_keys, data=payloads)
    def dispatch_under_a_taken_id(self, name: Name, kind: str, control: str, key: str, data: bytes) -> None:
        job = NewJob(job_id=name.job_id, data=data, **KINDS[kind])
        if control == "none" or name.job_id.startswith("c"):  # the id of a push names that push for good
            self.send(Enqueue(task=name.task, version=1, max_attempts=3, jobs=[job]))
        else:
            controlled = ControlledJob(job=job, key=key, **CONTROLS[control])
            self.send(EnqueueControlled(task=name.task, version=1, max_attempts=3, jobs=[controlled]))

    @rule(
        target=jobs,
        task=tasks,
        key=control_keys,
        delay_ms=st.sampled_from([MINUTE_MS, 30_000]),
        max_size=st.sampled_from([0, 0, 2, 3]),
        max_wait_ms=st.sampled_from([0, MINUTE_MS]),
        max_items=st.sampled_from([10, 3]),
        version=versions,
    )
    def push_collect(self, task: str, key: str, version: int, **limits: Any) -> Name:
        name = self.fresh("c")
        item = f'"{name}"'.encode()
        self.send(PushCollect(task=task, version=version, max_attempts=2, job_id=name, key=key, item=item, **limits))
        self.both(ReadCollect(task=task, key=key))
        return Name(task, name)

    @precondition(has_sent)
    @rule(back=st.integers(1, 4))
    def dispatch_again(self, back: int) -> None:
        """The reply was lost: the same request comes once more, perhaps after others."""
        self.both(self.sent[-min(back, len(self.sent))].again())

    def _new(self, kind: str, data: bytes = b"1") -> NewJob:
        return NewJob(job_id=self.fresh("j"), data=data, **KINDS[kind])
