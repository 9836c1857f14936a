"""What must have become of the jobs, told from the replies alone: none lost, none from nowhere, all counted.

An operation that this ledger does not know may create and remove jobs; who teaches it one says here which.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from taskora.contracts import JobState
from taskora.wire import (
    CancelSteps,
    Control,
    Dispatched,
    DispatchOccurrences,
    Enqueue,
    EnqueueControlled,
    EnqueueSteps,
    Exchange,
    Operation,
    OutcomeKind,
    Prune,
    PushCollect,
    RecoverStalled,
    RemoveFinished,
    RetryDead,
    Settlement,
    Verdict,
)
from tests.properties.image import Image, TaskView

Done = tuple[Operation[Any], Any]  # an operation and its reply

MINUTE_MS: Final = 60_000
DAY_MS: Final = 1440 * MINUTE_MS
_COUNTED: Final = {OutcomeKind.COMPLETED: "completed", OutcomeKind.FAILED: "failed"}


class Ledger:
    """Follows a history, one step after the other."""

    def __init__(self) -> None:
        self._ended: Counter[str] = Counter()

    def check(self, task: str, done: Sequence[Done], before: TaskView, after: TaskView, now_ms: int) -> None:
        """Compares a task before and after a step with what the step did."""
        mine = [(operation, reply) for operation, reply in done if getattr(operation, "task", None) == task]
        for job_id in before.records.keys() - after.records.keys():
            assert any(_may_remove(operation, before, job_id, now_ms) for operation, _ in mine), f"{job_id} is lost"
        for job_id in after.records.keys() - before.records.keys():
            assert any(job_id in _created(*one) for one in mine), f"nobody asked for {job_id}"
        for operation, reply in mine:
            missing = _accepted(operation, reply) - after.records.keys()
            assert not missing, f"{missing} accepted, but not stored"
        for job_id in before.records.keys() & after.records.keys():
            _check_change(job_id, before, after, mine)

    def check_metrics(self, done: Sequence[Done], server: Image, now_ms: int) -> Image:
        """The server's image without the counters of ended jobs, which must tell how many ended in each minute."""
        minute = now_ms // MINUTE_MS * MINUTE_MS
        for operation, reply in done:
            for result in _ends(operation, reply):
                task: Any = operation
                self._ended[f"taskora:{{{task.task}}}:metrics:{result}:{minute}"] += 1
        counted = {name: int(stored.value) for name, stored in server.items() if ":metrics:" in name}
        assert counted == dict(self._ended), f"counted {counted}, ended {dict(self._ended)}"
        for name in counted:
            ends_at_ms = server[name].ends_at_ms
            assert ends_at_ms is not None, f"{name} stays for ever"
            assert ends_at_ms <= now_ms + 2 * DAY_MS, f"{name} stays for long"
        return {name: stored for name, stored in server.items() if name not in counted}


def _ends(operation: Operation[Any], reply: Any) -> list[str]:
    if isinstance(operation, RecoverStalled):
        return ["failed"] * len(reply.failed)
    if isinstance(operation, Exchange):
        settled = zip(operation.outcomes, reply.settlements, strict=True)
        kinds = [outcome.kind for outcome, settlement in settled if settlement is Settlement.SETTLED]
        return [_COUNTED[kind] for kind in kinds if kind in _COUNTED]
    return []


def _may_remove(operation: Operation[Any], before: TaskView, job_id: str, now_ms: int) -> bool:
    state = before.state(job_id)
    match operation:
        case Prune() | RemoveFinished():
            return state is operation.state
        case Exchange():
            waits = state in {JobState.WAITING, JobState.DELAYED, JobState.RETRYING}
            is_late = _starts_too_late(operation, before, job_id, now_ms)
            is_empty_batch = "collectKey" in before.records[job_id]
            return waits and (is_empty_batch or (is_late and operation.on_expire == "discard"))
        case EnqueueControlled():
            named = {f"debounce:{job.key}" for job in operation.jobs if job.control is Control.DEBOUNCE}
            return job_id in {before.value(name).decode() for name in named if before.value(name)}
        case PushCollect():
            return bool(before.value(f"collect:{operation.key}:job") == job_id.encode())
        case _:
            return not isinstance(operation, _HARMLESS)


def _starts_too_late(exchange: Exchange, before: TaskView, job_id: str, now_ms: int) -> bool:
    deadline_ms = before.number(job_id, "expireAt")
    if not deadline_ms and exchange.ttl_ms and "processedOn" not in before.records[job_id]:
        deadline_ms = before.number(job_id, "ts") + exchange.ttl_ms
    return 0 < deadline_ms <= now_ms


_HARMLESS: Final = (CancelSteps, EnqueueSteps, DispatchOccurrences, Enqueue, RecoverStalled, RetryDead)


def _created(operation: Operation[Any], reply: Any) -> set[str]:
    match operation:
        case Enqueue():
            return _accepted(operation, reply)
        case EnqueueControlled():
            return {admission.job_id for admission in reply if admission.verdict is Verdict.CREATED}
        case PushCollect():
            return {operation.job_id}
        case CancelSteps():
            return {*operation.job_ids}
        case EnqueueSteps():
            return {step.job_id for step in operation.steps}
        case DispatchOccurrences():
            return {job.job_id for job in operation.jobs} if reply is Dispatched.DONE else set()
        case _:
            return set()


def _accepted(operation: Operation[Any], reply: Any) -> set[str]:
    match operation:
        case Enqueue():
            return {job.job_id for job, created in zip(operation.jobs, reply, strict=True) if created}
        case EnqueueControlled():
            lasting = zip(operation.jobs, reply, strict=True)  # a debounced job may be replaced within its batch
            return {
                admission.job_id
                for controlled, admission in lasting
                if controlled.control is not Control.DEBOUNCE
                and admission.verdict in {Verdict.CREATED, Verdict.UPDATED}
            }
        case _:
            return set()


def _check_change(job_id: str, before: TaskView, after: TaskView, mine: Sequence[Done]) -> None:
    """An ended job stays as it is, unless it is revived; attempts are counted one by one."""
    revived = any(isinstance(operation, RetryDead) and job_id in reply.job_ids for operation, reply in mine)
    if before.state(job_id).is_terminal and not revived:
        told = {"py:try"} if any(isinstance(operation, CancelSteps) for operation, _ in mine) else set[str]()
        records = [view.records[job_id].items() for view in (before, after)]
        then_was, is_now = ({name: value for name, value in record if name not in told} for record in records)
        assert then_was == is_now, f"{job_id} changed after its end"
    then, now = before.number(job_id, "attempt"), after.number(job_id, "attempt")
    retried = any(
        isinstance(operation, Exchange)
        and any(outcome.job_id == job_id and outcome.kind is OutcomeKind.RETRYING for outcome in operation.outcomes)
        for operation, _ in mine
    )
    assert now == (1 if revived else then + 1 if retried and now != then else then), f"{job_id}: {then} to {now}"
