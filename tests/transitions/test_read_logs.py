"""read_logs: reads only."""

from taskora.wire import LogEntry, ReadLogs
from tests.transitions.keyspace import RawTask, job


def test_entries_come_oldest_first_and_a_malformed_one_hides_none(task: RawTask) -> None:
    first = '{"level":"info","message":"one","timestamp":1}'
    last = '{"level":"error","message":"three","timestamp":3}'
    task.seed({"j1": job(), "wait": ["j1"], "j1:logs": [first, "two, not JSON", last]})
    assert task.run(ReadLogs(task="t", job_id="j1")) == (
        LogEntry(level="info", message="one", timestamp_ms=1),
        LogEntry(level="info", message="two, not JSON", timestamp_ms=0),
        LogEntry(level="error", message="three", timestamp_ms=3),
    )


def test_a_job_without_a_log_has_an_empty_one(task: RawTask) -> None:
    assert task.run(ReadLogs(task="t", job_id="j1")) == ()
