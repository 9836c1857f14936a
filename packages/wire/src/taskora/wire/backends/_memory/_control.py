"""enqueue_controlled: (none) -> waiting | delayed;  delayed -> (none), replaced."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from taskora.contracts.records import replace
from taskora.wire._operations import Admission, Control, ControlledJob, EnqueueControlled, NewJob, Verdict
from taskora.wire.backends._memory._creating import create, wake_for
from taskora.wire.backends._memory._record import Record, Value, forget, state, write
from taskora.wire.backends._memory._remembering import recall, remember
from taskora.wire.backends._memory._task import TaskStore

_WAITS: Final = (b"waiting", b"delayed")


def enqueue_controlled(task: TaskStore, operation: EnqueueControlled, now_ms: int) -> tuple[Admission, ...]:
    """Creates the jobs that their flow control admits."""
    request = _Request(task, operation, now_ms)
    replies = tuple(request.decide(controlled) for controlled in operation.jobs)
    wake_for(task, request.created, now_ms)
    return replies


class _Request:
    """One call: decides on its jobs in order."""

    def __init__(self, task: TaskStore, operation: EnqueueControlled, now_ms: int) -> None:
        self.task = task
        self.operation = operation
        self.now_ms = now_ms
        self.created: list[NewJob] = []

    def decide(self, controlled: ControlledJob) -> Admission:
        job = controlled.job
        existing = self.task.jobs.get(job.job_id)
        if existing is not None:
            verdict = Verdict.CREATED if self._is_ours(existing, job) else Verdict.TAKEN
            return Admission(verdict=verdict, job_id=job.job_id)
        return _CONTROLS[controlled.control](self, controlled)

    def _is_ours(self, existing: Record, job: NewJob) -> bool:
        return self.operation.resend and (existing.get("data") == job.data or "py:carries" in existing)

    def admit(self, controlled: ControlledJob, **extra: Value) -> Admission:
        job = controlled.job
        fields = {**_concurrency_fields(controlled), **extra}
        create(self.task, self.operation, job, self.now_ms, lifo=controlled.lifo, **fields)
        self.created.append(job)
        return Admission(verdict=Verdict.CREATED, job_id=job.job_id)

    def debounce(self, controlled: ControlledJob) -> Admission:
        task, now_ms, job_id = self.task, self.now_ms, controlled.job.job_id
        if self.operation.resend and recall(task, job_id, now_ms) is not None:
            return Admission(verdict=Verdict.CREATED, job_id=job_id)
        name = f"debounce:{controlled.key}"
        pending = task.values.get(name, now_ms) or ""
        if task.jobs.get(pending, {}).get("state") == b"delayed" and task.delayed.discard(pending):
            task.erase(pending)
            task.parking.newer.discard(pending)
            remember(task, pending, job_id, now_ms)
            task.emit(now_ms, "debounced", pending, replacedBy=job_id)
        task.values.set(name, job_id, now_ms, lasts_ms=max(1, 2 * controlled.period_ms))
        return self.admit(replace(controlled, job=replace(controlled.job, delay_ms=controlled.period_ms)))

    def throttle(self, controlled: ControlledJob) -> Admission:
        values, name = self.task.values, f"throttle:{controlled.key}"
        accepted = int(values.get(name, self.now_ms) or 0)
        if accepted >= controlled.amount:
            return Admission(verdict=Verdict.THROTTLED, job_id=controlled.job.job_id)
        if accepted:
            values.replace(name, str(accepted + 1))
        else:
            values.set(name, "1", self.now_ms, lasts_ms=controlled.period_ms)
        return self.admit(controlled)

    def deduplicate(self, controlled: ControlledJob) -> Admission:
        owner = self._owner_of(controlled)
        if owner is not None and state(self.task.jobs.get(owner, {})) in controlled.states:
            return Admission(verdict=Verdict.DUPLICATE, job_id=owner)
        return self._own(controlled)

    def deduplicate_for(self, controlled: ControlledJob) -> Admission:
        owner = self._owner_of(controlled)
        if owner is not None:
            return Admission(verdict=Verdict.DUPLICATE, job_id=owner)
        name = f"dedup:{controlled.key}"
        self.task.values.set(name, controlled.job.job_id, self.now_ms, lasts_ms=controlled.period_ms)
        return self.admit(controlled)

    def keep_latest(self, controlled: ControlledJob) -> Admission:
        job_id = controlled.job.job_id
        owner = recall(self.task, job_id, self.now_ms) if self.operation.resend else None
        if owner is None:
            owner = self._owner_of(controlled)
            record = self.task.jobs.get(owner or "", {})
            if owner is None or record.get("state") not in _WAITS:
                return self._own(controlled)
            self._give_payload(controlled.job, record)
            remember(self.task, job_id, owner, self.now_ms)
        return Admission(verdict=Verdict.UPDATED, job_id=owner)

    def _give_payload(self, job: NewJob, record: Record) -> None:
        write(record, data=job.data, _v=self.operation.version, **{"py:carries": job.job_id})
        if job.ttl_ms > 0:
            write(record, expireAt=self.now_ms + job.ttl_ms)
        else:
            forget(record, "expireAt")

    def _owner_of(self, controlled: ControlledJob) -> str | None:
        return self.task.values.get(f"dedup:{controlled.key}", self.now_ms)

    def _own(self, controlled: ControlledJob) -> Admission:
        name = f"dedup:{controlled.key}"
        self.task.values.set(name, controlled.job.job_id, self.now_ms)
        return self.admit(controlled, dedupKey=self.task.prefix + name)


def _concurrency_fields(controlled: ControlledJob) -> dict[str, Value]:
    if not controlled.concurrency_key:
        return {}
    key, limit = controlled.concurrency_key, controlled.concurrency_limit
    if limit:
        return {"concurrencyKey": key, "concurrencyLimit": limit}
    return {"concurrencyKey": key, "concurrencyLimit": 1, "py:defaultLimit": 1}


_Decision: TypeAlias = Callable[[_Request, ControlledJob], Admission]
_CONTROLS: Final[Mapping[Control, _Decision]] = {
    Control.NONE: _Request.admit,
    Control.DEBOUNCE: _Request.debounce,
    Control.THROTTLE: _Request.throttle,
    Control.DEDUPLICATE: _Request.deduplicate,
    Control.DEDUPLICATE_FOR: _Request.deduplicate_for,
    Control.KEEP_LATEST: _Request.keep_latest,
}
