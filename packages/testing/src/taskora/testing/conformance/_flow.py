"""Flow control in the words of the tests."""

from taskora.contracts import JobState
from taskora.testing.conformance._clock import MINUTE_MS
from taskora.testing.conformance._subject import TASK, Subject, job
from taskora.wire import (
    Admission,
    Collected,
    Collecting,
    Control,
    ControlledJob,
    EnqueueControlled,
    PushCollect,
    Verdict,
)

UNFINISHED = (JobState.WAITING, JobState.DELAYED, JobState.ACTIVE)


def keyed(job_id: str, key: str = "org", limit: int = 1, *, priority: int = 0, ttl_ms: int = 0) -> ControlledJob:
    """A job that needs a slot of a concurrency key."""
    return ControlledJob(
        job=job(job_id, priority=priority, ttl_ms=ttl_ms), concurrency_key=key, concurrency_limit=limit
    )


def lifo(job_id: str, *, priority: int = 0, delay_ms: int = 0) -> ControlledJob:
    return ControlledJob(job=job(job_id, priority=priority, delay_ms=delay_ms), lifo=True)


def debounced(job_id: str, key: str = "k", *, delay_ms: int = MINUTE_MS) -> ControlledJob:
    return ControlledJob(job=job(job_id), control=Control.DEBOUNCE, key=key, period_ms=delay_ms)


def throttled(job_id: str, key: str = "k", *, most: int = 2, delay_ms: int = 0) -> ControlledJob:
    return ControlledJob(
        job=job(job_id, delay_ms=delay_ms), control=Control.THROTTLE, key=key, amount=most, period_ms=MINUTE_MS
    )


def deduplicated(
    job_id: str, key: str = "k", *, states: tuple[JobState, ...] = UNFINISHED, delay_ms: int = 0, ttl_ms: int = 0
) -> ControlledJob:
    return ControlledJob(
        job=job(job_id, delay_ms=delay_ms, ttl_ms=ttl_ms), control=Control.DEDUPLICATE, key=key, states=states
    )


def deduplicated_for(job_id: str, key: str = "k", *, period_ms: int = MINUTE_MS) -> ControlledJob:
    return ControlledJob(job=job(job_id), control=Control.DEDUPLICATE_FOR, key=key, period_ms=period_ms)


def latest(job_id: str, key: str = "k", *, ttl_ms: int = 0) -> ControlledJob:
    """A job that runs alone, and while it waits takes the payload of those that come after it."""
    return ControlledJob(
        job=job(job_id, ttl_ms=ttl_ms),
        concurrency_key=f"latest:{key}",
        concurrency_limit=1,
        control=Control.KEEP_LATEST,
        key=key,
    )


def admitting(*jobs: ControlledJob, version: int = 1, resend: bool = False) -> EnqueueControlled:
    return EnqueueControlled(task=TASK, version=version, max_attempts=3, jobs=jobs, resend=resend)


def admissions(replies: tuple[Admission, ...]) -> list[str]:
    """What became of each, and whom to follow: `created a`."""
    return [f"{reply.verdict.name.lower()} {reply.job_id}" for reply in replies]


async def dispatch(subject: Subject, *jobs: ControlledJob, resend: bool = False) -> list[str]:
    return admissions(await subject.run(admitting(*jobs, resend=resend)))


async def created(subject: Subject, *jobs: ControlledJob) -> None:
    """Dispatches jobs that nothing is in the way of."""
    assert {reply.verdict for reply in await subject.run(admitting(*jobs))} == {Verdict.CREATED}


def pushing(
    job_id: str,
    key: str = "k",
    *,
    delay_ms: int = MINUTE_MS,
    max_size: int = 0,
    max_wait_ms: int = 0,
    max_items: int = 10_000,
    resend: bool = False,
) -> PushCollect:
    """Pushes an item that is named like its job."""
    return PushCollect(
        task=TASK,
        version=1,
        max_attempts=3,
        job_id=job_id,
        key=key,
        item=f'"{job_id}"'.encode(),
        delay_ms=delay_ms,
        max_size=max_size,
        max_wait_ms=max_wait_ms,
        max_items=max_items,
        resend=resend,
    )


def collected(collecting: Collecting, count: int) -> Collected:
    return Collected(collecting=collecting, count=count)
