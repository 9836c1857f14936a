"""Operations that only look."""

from collections.abc import Mapping, Sequence

from taskora.contracts import JobState
from taskora.contracts.records import record
from taskora.wire._job import JobRecord, JobStatus, LogEntry, StepLink
from taskora.wire._operation import Operation


@record
class ReadStatuses(Operation[tuple[JobStatus | None, ...]]):
    """Where jobs stand, with their results but without their data; None for one that does not exist."""

    task: str
    job_ids: Sequence[str]


@record
class ReadLinks(Operation[tuple[StepLink | None, ...]]):
    """Of which workflows jobs are steps; None for one that is none, or does not exist."""

    task: str
    job_ids: Sequence[str]


@record
class ReadJob(Operation[JobRecord | None]):
    """Everything about one job, logs included."""

    task: str
    job_id: str


@record
class ReadLogs(Operation[tuple[LogEntry, ...]]):
    """The log of one job, oldest entry first."""

    task: str
    job_id: str


@record
class ListJobs(Operation["JobPage"]):
    """A page of the jobs in one state, without logs.

    Waiting: in the order in which they will leave; active: oldest claim first; delayed, retrying: by due time;
    ended: newest first. Delayed and retrying jobs are kept together: a storage may look through them in several
    requests, of which all but the first come `after` those that were looked at. `read_jobs` makes them all.
    """

    task: str
    state: JobState
    offset: int = 0
    limit: int = 20
    after: int = 0


@record
class JobPage:
    """Jobs, and the request for the rest of the page where a storage did not find all at once."""

    records: tuple[JobRecord, ...]
    rest: ListJobs | None = None


@record
class JobCounts:
    """How many jobs a task has. `delayed` includes those that wait for their retry.

    `parked` are those of the waiting that wait for a slot of their concurrency key; they are not asked for their age.
    `newer` are those of the delayed whose payload is too new for the workers that saw them. `unserved` are those of the
    others that are ready, or due, while nobody works on the task. `workers` have announced that they do.
    `rate_limited_until_ms` is set while ready jobs may not start because of the task's rate limit.
    """

    waiting: int
    active: int
    delayed: int
    completed: int
    failed: int
    expired: int
    cancelled: int
    oldest_waiting_age_ms: int | None
    parked: int = 0
    newer: int = 0
    unserved: int = 0
    workers: int = 0
    rate_limited_until_ms: int | None = None


@record
class CountJobs(Operation[JobCounts]):
    """Counts the jobs of a task."""

    task: str


@record
class VersionCounts:
    """How many jobs that may still run have which payload version, and the request for those not counted yet."""

    waiting: Mapping[int, int]
    active: Mapping[int, int]
    delayed: Mapping[int, int]
    rest: "CountVersions | None" = None


@record
class CountVersions(Operation[VersionCounts]):
    """Counts payload versions. Reads every waiting, active and delayed job: for operators, not for loops.

    A storage that does not look at all of them at once takes several requests, of which each but the first has the
    `cursor` that the one before it was told. `count_versions` makes them all.
    """

    task: str
    cursor: str = ""


@record
class LastEvent(Operation[str]):
    """Position of the newest event of a task."""

    task: str


@record
class TaskPage:
    """Some task names, and where to go on; `cursor` "0" ends the scan. A name may come twice."""

    cursor: str
    tasks: tuple[str, ...]


@record
class ScanTasks(Operation[TaskPage]):
    """Finds the tasks that ever had a job."""

    cursor: str = "0"
