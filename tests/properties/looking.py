"""Rules of those who look: pages, counts, statuses, logs, events. And the clock."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from taskora.contracts import JobState
from taskora.wire import (
    FINAL_STATES,
    CountJobs,
    CountVersions,
    LastEvent,
    ListJobs,
    ReadJob,
    ReadLogs,
    ReadStatuses,
    ReadWorkers,
    ScanTasks,
    StreamEvent,
)
from tests.properties.pair import MINUTE_MS, TASKS, Name, Pair, anything_waits, jobs, tasks

READY = ("wait", "prioritized", "parked:freed", "parked")


class Looking(Pair):
    """What nobody may notice."""

    @rule(name=jobs)
    def read_job(self, name: Name) -> None:
        ids = [name.job_id, "j0"]
        statuses = self.both(ReadStatuses(task=name.task, job_ids=ids))
        view = self.views[name.task]
        told = [job_id in view.records or f"gone:{job_id}" in view.keys for job_id in ids]
        assert [status is not None for status in statuses] == told
        self.both(ReadJob(task=name.task, job_id=name.job_id))
        self.both(ReadLogs(task=name.task, job_id=name.job_id))

    @rule(task=tasks, offset=st.integers(0, 3), limit=st.sampled_from([1000, 0, 1, 2]))
    def look(self, task: str, offset: int, limit: int) -> None:
        self._scan_tasks()
        self.both(ReadWorkers(task=task))
        self._count_jobs(task)
        view = self.views[task]
        for state in JobState:
            page = self.both(ListJobs(task=task, state=state, offset=offset, limit=limit)).records
            in_state = [job_id for job_id in view.records if view.state(job_id) is state]
            assert len(page) == max(0, min(limit, len(in_state) - offset))
            assert {record.job_id for record in page} <= set(in_state)

    def _count_jobs(self, task: str) -> None:
        view = self.views[task]
        counts = self.both(CountJobs(task=task))
        assert counts.waiting == len(view.where(*READY))
        assert (counts.parked, counts.newer) == (len(view.places["parked"]), len(view.ids("parked:newer")))
        for name in ("active", "delayed", *(state.value for state in FINAL_STATES)):
            assert getattr(counts, name) == len(view.places[name])
        versions = self.both(CountVersions(task=task))
        for found, places in (
            (versions.waiting, READY),
            (versions.active, ["active"]),
            (versions.delayed, ["delayed"]),
        ):
            assert sum(found.values()) == len(view.where(*places))

    def _scan_tasks(self) -> None:
        self.used.add(ScanTasks)
        for backend in (self.memory, self.redis):
            cursor, found = "0", set[str]()
            while cursor != "0" or not found:
                page = backend.run(ScanTasks(cursor=cursor))
                cursor, found = page.cursor, found | {*page.tasks, ""}
            assert found - {""} == {task for task in TASKS if len(self.positions[task]) > 1}

    @rule(task=tasks, back=st.integers(1, 9), limit=st.sampled_from([100, 1]))
    def read_events(self, task: str, back: int, limit: int) -> None:
        """From some position on; each side counts its own positions."""
        self.used.add(LastEvent)
        known = self.positions[task]
        since = known[-min(back + 1, len(known))]
        read: list[list[tuple[str, str, dict[str, str]]]] = []
        for index, backend in enumerate((self.memory, self.redis)):
            assert backend.run(LastEvent(task=task)) == known[-1][index]
            news = since != known[-1]  # a read without news would wait for a while
            events = backend.read_events({task: since[index]}, block_ms=1, limit=limit) if news else []
            read.append([_meaning(event) for event in events])
        assert read[0] == read[1]
        assert len(read[0]) == min(back, len(known) - 1, limit)


def _meaning(event: StreamEvent) -> tuple[str, str, dict[str, str]]:
    return event.name, event.job_id, dict(event.fields)


class TimePassing(Pair):
    """What the clock does, on both sides at once."""

    @rule(milliseconds=st.sampled_from([1, 10_000, 30_000, MINUTE_MS - 1, MINUTE_MS, 10 * MINUTE_MS]))
    def pass_time(self, milliseconds: int) -> None:
        self.step_clock(milliseconds)

    @precondition(anything_waits)
    @rule(task=st.sampled_from(TASKS), early_ms=st.sampled_from([0, 1]))
    def pass_time_until_a_job_is_due(self, task: str, early_ms: int) -> None:
        delayed: Any = self.views[task].value("delayed") or []
        wait_ms = int(delayed[0][1]) - early_ms - self.clock.now_ms() if delayed else 0
        if wait_ms > 0:
            self.step_clock(wait_ms)

    @rule(milliseconds=st.sampled_from([1, 10_000, MINUTE_MS]))
    def step_clock_back(self, milliseconds: int) -> None:
        self.step_clock(-milliseconds)
