"""read_fields: reads only."""

from taskora.contracts import JobState
from taskora.wire import JobStatus, ReadStatuses
from tests.transitions.keyspace import NOW, Expires, RawTask, Scores, job


def test_statuses_come_in_the_order_asked_for(task: RawTask) -> None:
    done = job("completed", result="2", progress="50", processedOn=NOW - 5, finishedOn=NOW, attempt=2)
    task.seed({"done": done, "completed": Scores({"done": NOW}), "new": job(), "wait": ["new"]})
    assert task.run(ReadStatuses(task="t", job_ids=["new", "never", "done"])) == (
        status(JobState.WAITING),
        None,
        status(
            JobState.COMPLETED,
            attempt=2,
            processed_on_ms=NOW - 5,
            finished_on_ms=NOW,
            result=b"2",
            progress=b"50",
        ),
    )


def test_error_and_reason_are_text(task: RawTask) -> None:
    task.seed({"j1": job("cancelled", error="böse", cancelReason="genug"), "cancelled": Scores({"j1": NOW})})
    expected = status(JobState.CANCELLED, error="böse", cancel_reason="genug")
    assert task.run(ReadStatuses(task="t", job_ids=["j1"])) == (expected,)


def test_what_has_no_state_is_no_job(task: RawTask) -> None:
    task.orphans.add("j1")
    task.seed({"j1": {"progress": "1"}})
    assert task.run(ReadStatuses(task="t", job_ids=["j1"])) == (None,)


def test_of_a_discarded_job_is_told_what_is_left(task: RawTask) -> None:
    gone = Expires({"state": "expired", "finishedOn": str(NOW)})
    task.seed({"gone:j1": gone, "gone:j2": gone, "j2": job(), "wait": ["j2"]})
    assert task.run(ReadStatuses(task="t", job_ids=["j1", "j2"])) == (
        status(JobState.EXPIRED, attempt=0, finished_on_ms=NOW),
        status(JobState.WAITING),
    )


def test_nothing_asked_is_nothing_told(task: RawTask) -> None:
    assert task.run(ReadStatuses(task="t", job_ids=[])) == ()


def status(
    state: JobState,
    *,
    attempt: int = 1,
    processed_on_ms: int | None = None,
    finished_on_ms: int | None = None,
    result: bytes | None = None,
    error: str | None = None,
    cancel_reason: str | None = None,
    progress: bytes | None = None,
) -> JobStatus:
    return JobStatus(
        state=state,
        attempt=attempt,
        processed_on_ms=processed_on_ms,
        finished_on_ms=finished_on_ms,
        result=result,
        error=error,
        cancel_reason=cancel_reason,
        progress=progress,
    )
