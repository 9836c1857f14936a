"""Progress and logs."""

from typing import Literal

import pytest

from taskora.contracts import JobState
from taskora.testing.conformance._case import Cases
from taskora.testing.conformance._subject import TASK, Subject, completed
from taskora.wire import LogEntry, ReadLogs, RemoveFinished, Report, ReportEntry, encode_log


def progress(job_id: str, payload: bytes, token: str = "T") -> ReportEntry:
    return ReportEntry(kind="progress", job_id=job_id, token=token, payload=payload)


def log(job_id: str, message: str, token: str = "T") -> ReportEntry:
    return ReportEntry(kind="log", job_id=job_id, token=token, payload=encode_log(entry(message)))


def entry(message: str) -> LogEntry:
    return LogEntry(level="info", message=message, timestamp_ms=1, meta={"n": 1})


def reporting(*entries: ReportEntry) -> Report:
    return Report(task=TASK, entries=entries)


class TestReports(Cases):
    """Progress and logs."""

    async def test_progress_is_stored_and_told(self, subject: Subject) -> None:
        await subject.claim("a")
        assert await subject.run(reporting(progress("a", b"10"), progress("a", b'{"at":20}'))) == (True, True)
        assert (await subject.record("a")).status.progress == b'{"at":20}'
        assert (await subject.events())[2:] == ["progress a value=10", 'progress a value={"at":20}']

    async def test_logs_are_kept_in_order_and_without_events(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.run(reporting(log("a", "one"), log("a", "two")))
        await subject.run(reporting(log("a", "Привет 😀")))
        expected = (entry("one"), entry("two"), entry("Привет 😀"))
        assert (await subject.record("a")).logs == expected
        assert await subject.run(ReadLogs(task=TASK, job_id="a")) == expected
        assert (await subject.events())[2:] == []

    async def test_a_job_that_never_logged_has_an_empty_log(self, subject: Subject) -> None:
        await subject.enqueue("a")
        assert await subject.run(ReadLogs(task=TASK, job_id="a")) == ()
        assert await subject.run(ReadLogs(task=TASK, job_id="unknown")) == ()

    async def test_a_long_log_loses_its_oldest_entries(self, subject: Subject) -> None:
        await subject.claim("a")
        thousand = reporting(*(log("a", str(number)) for number in range(1000)))
        for _ in range(11):
            await subject.run(thousand)
        logs = await subject.run(ReadLogs(task=TASK, job_id="a"))
        assert len(logs) == 10_000
        assert (logs[0].message, logs[-1].message) == ("0", "999")

    @pytest.mark.parametrize("kind", ["progress", "log"])
    async def test_nothing_is_written_after_the_end(self, subject: Subject, kind: Literal["progress", "log"]) -> None:
        await subject.claim("a")
        await subject.settle(completed("a"))
        before = (await subject.record("a"), await subject.events())
        late = ReportEntry(kind=kind, job_id="a", token="T", payload=b"1")
        assert await subject.run(reporting(late)) == (False,)
        assert (await subject.record("a"), await subject.events()) == before

    async def test_a_deleted_job_is_not_created_again_by_a_late_report(self, subject: Subject) -> None:
        await subject.claim("a")
        await subject.settle(completed("a"))
        await subject.run(RemoveFinished(task=TASK, state=JobState.COMPLETED, job_id="a"))
        assert await subject.run(reporting(progress("a", b"1"), log("a", "late"))) == (False, False)
        assert await subject.state("a") is None
        assert await subject.run(ReadLogs(task=TASK, job_id="a")) == ()

    async def test_each_entry_of_a_batch_is_judged_by_its_own_lease(self, subject: Subject) -> None:
        await subject.claim("a", "b")
        subject.tricks.lose_lease(TASK, "a")
        entries = [progress("a", b"1"), progress("b", b"2"), log("b", "x", token="foreign")]
        assert await subject.run(reporting(*entries)) == (False, True, False)
