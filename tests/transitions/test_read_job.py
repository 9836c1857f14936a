"""read_job: reads only."""

from taskora.contracts import JobState
from taskora.wire import LogEntry, ReadJob
from tests.transitions.keyspace import NOW, RawTask, job

LOG = '{"level":"warn","message":"slow","meta":{"ms":5},"timestamp":1795299651772}'


def test_a_job_comes_with_its_log_and_its_unknown_fields(task: RawTask) -> None:
    record = job("waiting", priority=2, delay=50, expireAt=NOW + 5, stalledCount=1, traceparent="00-ab")
    task.seed({"j1": record, "wait": ["j1"], "j1:logs": [LOG]})
    found = task.run(ReadJob(task="t", job_id="j1"))
    assert found is not None
    assert (found.job_id, found.status.state, found.timestamp_ms) == ("j1", JobState.WAITING, NOW - 1000)
    assert (found.priority, found.delay_ms, found.expire_at_ms, found.stalled_count) == (2, 50, NOW + 5, 1)
    assert found.fields["traceparent"] == b"00-ab"
    assert found.logs == (LogEntry(level="warn", message="slow", meta={"ms": 5}, timestamp_ms=NOW),)


def test_the_smallest_job_of_another_program_reads_as_neutral_values(task: RawTask) -> None:
    task.seed({"j1": {"data": "1", "_v": "1", "state": "waiting"}, "wait": ["j1"]})
    found = task.run(ReadJob(task="t", job_id="j1"))
    assert found is not None
    assert (found.timestamp_ms, found.status.attempt, found.max_attempts, found.priority) == (0, 0, 1, 0)


def test_a_job_nobody_knows_is_none(task: RawTask) -> None:
    assert task.run(ReadJob(task="t", job_id="never")) is None
