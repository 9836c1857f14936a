"""list_jobs: reads only."""

from collections.abc import Iterable

import pytest

from taskora.contracts import JobState
from taskora.wire import JobPage, ListJobs, drive, read_jobs
from tests.transitions.keyspace import NOW, Dump, RawTask, Scores, job


def pages(task: RawTask, state: JobState, *, size: int) -> list[list[str]]:
    """All pages of a listing, up to the first empty one."""
    found: list[list[str]] = []
    while page := listed(task, state, offset=size * len(found), limit=size):
        found.append(page)
    return found


def listed(task: RawTask, state: JobState, *, offset: int = 0, limit: int = 20) -> list[str]:
    found = drive(read_jobs(ListJobs(task="t", state=state, offset=offset, limit=limit)), task.run)
    return [record.job_id for record in found]


def records(job_ids: Iterable[str], state: str = "waiting") -> Dump:
    return {job_id: job(state) for job_id in job_ids}


WAITING: Dump = {
    **records("abcde"),
    "prioritized": Scores({"a": -9e13, "b": -1e13}),
    "wait": ["e", "d", "c"],
}


def test_waiting_jobs_come_in_the_order_in_which_they_leave(task: RawTask) -> None:
    task.seed(WAITING)
    assert listed(task, JobState.WAITING) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_pages_of_waiting_jobs_run_across_both_queues(task: RawTask, size: int) -> None:
    task.seed(WAITING)
    assert pages(task, JobState.WAITING, size=size) == [list("abcde"[n : n + size]) for n in range(0, 5, size)]


def test_active_jobs_come_oldest_claim_first(task: RawTask) -> None:
    task.seed({**records("abc", "active"), "active": ["c", "b", "a"]})
    assert listed(task, JobState.ACTIVE) == ["a", "b", "c"]
    assert pages(task, JobState.ACTIVE, size=2) == [["a", "b"], ["c"]]


def test_delayed_and_retrying_jobs_share_a_set_and_are_told_apart(task: RawTask) -> None:
    due = Scores({"d1": NOW, "r1": NOW + 1, "d2": NOW + 2, "d3": NOW + 3, "r2": NOW + 4})
    task.seed({**records(["d1", "d2", "d3"], "delayed"), **records(["r1", "r2"], "retrying"), "delayed": due})
    assert listed(task, JobState.DELAYED) == ["d1", "d2", "d3"]
    assert listed(task, JobState.RETRYING) == ["r1", "r2"]
    assert pages(task, JobState.DELAYED, size=2) == [["d1", "d2"], ["d3"]]
    assert pages(task, JobState.RETRYING, size=1) == [["r1"], ["r2"]]


def test_a_delayed_job_behind_thousands_of_others_is_found(task: RawTask) -> None:
    ids = [f"j{n:04}" for n in range(2500)]
    task.seed({**records(ids, "delayed"), "r": job("retrying")})
    task.seed({"delayed": Scores({**{job_id: n for n, job_id in enumerate(ids)}, "r": 9999})})
    assert listed(task, JobState.RETRYING) == ["r"]
    assert listed(task, JobState.DELAYED, offset=2400, limit=200) == ids[2400:]


def test_one_call_looks_at_five_thousand_of_the_delayed_jobs_at_most(task: RawTask) -> None:
    ids = [f"j{n:05}" for n in range(12_000)]
    retrying = {*ids[4998:5003], ids[-1]}
    task.seed({job_id: job("retrying" if job_id in retrying else "delayed") for job_id in ids})
    task.seed({"delayed": Scores({job_id: n for n, job_id in enumerate(ids)})})
    first = task.run(ListJobs(task="t", state=JobState.RETRYING, offset=1, limit=4))
    assert [record.job_id for record in first.records] == ids[4999:5000]
    rest = ListJobs(task="t", state=JobState.RETRYING, offset=0, limit=3, after=5000)
    assert first.rest == rest
    second = task.run(rest)
    assert second == JobPage(records=second.records)
    assert [record.job_id for record in second.records] == ids[5000:5003]
    assert listed(task, JobState.RETRYING, offset=5) == ids[-1:]
    assert listed(task, JobState.RETRYING, offset=6) == []
    assert listed(task, JobState.DELAYED, offset=11_000, limit=2) == ids[11_005:11_007]


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_ended_jobs_come_newest_first(task: RawTask, state: JobState) -> None:
    task.seed({**records("abc", state), state: Scores({"a": 1, "b": 2, "c": 3})})
    assert listed(task, state) == ["c", "b", "a"]
    assert pages(task, state, size=2) == [["c", "b"], ["a"]]


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_lists_nothing(task: RawTask, state: JobState, limit: int) -> None:
    place: dict[str, Dump] = {
        "waiting": {"prioritized": Scores({"a": 1, "b": 2})},
        "active": {"active": ["a", "b"]},
        "delayed": {"delayed": Scores({"a": 1, "b": 2})},
        "retrying": {"delayed": Scores({"a": 1, "b": 2})},
    }
    task.seed({**records("ab", state), **place.get(state, {state: Scores({"a": 1, "b": 2})})})
    assert listed(task, state, limit=limit) == []


@pytest.mark.parametrize("state", JobState)
def test_beyond_the_end_there_is_nothing(task: RawTask, state: JobState) -> None:
    assert listed(task, state) == []
    assert listed(task, state, offset=5) == []


def test_records_are_complete_except_for_logs(task: RawTask) -> None:
    record = job("completed", result="2", error="boom", progress="50", attempt=2, processedOn=5, finishedOn=6)
    task.seed({"j1": {**record, "mine": "kept"}, "j1:logs": ["{}"], "completed": Scores({"j1": NOW})})
    (found,) = task.run(ListJobs(task="t", state=JobState.COMPLETED)).records
    assert (found.job_id, found.data, found.version, found.max_attempts) == ("j1", b'{"n":1}', 1, 3)
    assert (found.status.state, found.status.result, found.status.error) == (JobState.COMPLETED, b"2", "boom")
    assert (found.status.processed_on_ms, found.status.finished_on_ms, found.status.attempt) == (5, 6, 2)
    assert found.fields["mine"] == b"kept"
    assert found.logs == ()


def test_ids_without_a_job_are_left_out(task: RawTask) -> None:
    task.orphans.add("half")
    task.seed({"a": job(), "half": {"progress": "1"}, "wait": ["half", "ghost", "a"]})
    assert listed(task, JobState.WAITING) == ["a"]


PARKED: Dump = {
    **WAITING,
    **records("fghijk"),
    "parked:freed": ["g", "f"],
    "parked:key:one": Scores({"h": -1, "i": 5}),
    "parked:key:two": Scores({"j": 1, "k": 2}),
    "parked:keys": Scores({"one": 1, "two": 2}),
    "parked:count": "4",
}
IN_ORDER = list("abfgcdehijk")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11, 20])
def test_pages_go_on_among_freed_and_parked_jobs(task: RawTask, size: int) -> None:
    task.seed(PARKED)
    assert pages(task, JobState.WAITING, size=size) == [IN_ORDER[n : n + size] for n in range(0, 11, size)]


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.ACTIVE, JobState.DELAYED, JobState.COMPLETED])
def test_what_is_no_record_is_left_out_and_hides_no_other(task: RawTask, state: JobState) -> None:
    lists: Dump = {"active": ["j1", "odd"], "wait": ["j1", "odd"]}
    place = "wait" if state is JobState.WAITING else state.value
    task.orphans.add("odd")
    task.seed({"odd": "no record", "j1": job(state.value), place: lists.get(place, Scores({"odd": 1, "j1": 2}))})
    assert listed(task, state) == ["j1"]
