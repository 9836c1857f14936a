"""The first half of exchange: active -> completed | retrying | failed | cancelled | waiting | delayed."""

from taskora.contracts import JobState
from taskora.wire._operations import Outcome, OutcomeKind, Settlement
from taskora.wire.backends._memory._record import Record, encoded, number, undo_start, write
from taskora.wire.backends._memory._slots import release_slot
from taskora.wire.backends._memory._task import TaskStore

_RUN_AGAIN = {OutcomeKind.RETRYING, OutcomeKind.RELEASED, OutcomeKind.DECLINED}


def settle(task: TaskStore, outcome: Outcome, now_ms: int, *, resend: bool) -> Settlement:
    """Ends one attempt, if its token still fences the job."""
    job_id = outcome.job_id
    if not task.holds_lease(job_id, outcome.token, now_ms):
        return Settlement.REPEATED if resend else Settlement.LOST
    record = task.jobs.get(job_id)
    if record is not None and "cancelledAt" in record and outcome.kind in _RUN_AGAIN:
        return Settlement.CANCEL_REQUESTED
    task.active.pop(job_id, None)
    task.leases.pop(job_id)
    task.stalled.discard(job_id)
    if record is None:  # deleted while it ran
        return Settlement.LOST
    if release_slot(task, record):
        task.marker.set(0)
    _apply(task, outcome, record, now_ms)
    return Settlement.SETTLED


def _apply(task: TaskStore, outcome: Outcome, record: Record, now_ms: int) -> None:
    job_id = outcome.job_id
    attempt = number(record, "attempt")
    match outcome.kind:
        case OutcomeKind.COMPLETED:
            if "_wf" in record:
                record["py:settledBy"] = encoded(outcome.token)
            task.finish(job_id, JobState.COMPLETED, now_ms, result=outcome.payload)
            task.emit(now_ms, "completed", job_id, attempt=attempt)
        case OutcomeKind.FAILED:
            task.finish(job_id, JobState.FAILED, now_ms, error=outcome.payload)
            task.emit(now_ms, "failed", job_id, attempt=attempt, error=outcome.payload)
        case OutcomeKind.CANCELLED:
            task.finish(job_id, JobState.CANCELLED, now_ms)
            task.emit(now_ms, "cancelled", job_id, reason=record.get("cancelReason", b""))
        case OutcomeKind.RETRYING:
            _retry_later(task, outcome, attempt + 1, now_ms)
        case OutcomeKind.RELEASED:
            _give_back(task, outcome, now_ms)
        case OutcomeKind.DECLINED:
            undo_start(record)
            _give_back(task, outcome, now_ms, is_unseen=True)


def _retry_later(task: TaskStore, outcome: Outcome, attempt: int, now_ms: int) -> None:
    due_ms = now_ms + outcome.delay_ms
    write(task.jobs[outcome.job_id], state="retrying", attempt=attempt, error=outcome.payload)
    task.delayed.add(outcome.job_id, due_ms)
    task.marker.advance(due_ms)
    task.emit(now_ms, "retrying", outcome.job_id, attempt=attempt, nextAttemptAt=due_ms, error=outcome.payload)


def _give_back(task: TaskStore, outcome: Outcome, now_ms: int, *, is_unseen: bool = False) -> None:
    record = task.jobs[outcome.job_id]
    if outcome.delay_ms > 0:
        write(record, state="delayed")
        task.delayed.add(outcome.job_id, now_ms + outcome.delay_ms)
        task.marker.advance(now_ms + outcome.delay_ms)
    else:
        write(record, state="waiting")
        to_front = is_unseen and number(record, "priority") <= 0
        task.push_new(outcome.job_id, order_ms=number(record, "ts"), lifo=to_front)
        task.marker.set(0)
        task.emit(now_ms, "waiting", outcome.job_id)
