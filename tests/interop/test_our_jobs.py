"""Does what we write hold what other programs of wire version 6 need?"""

import json
import re
from typing import Any

import pytest

from taskora.wire import (
    Cancel,
    Enqueue,
    Exchange,
    LogEntry,
    NewJob,
    Outcome,
    OutcomeKind,
    Report,
    ReportEntry,
    encode_log,
)
from tests.transitions.keyspace import BASE, NOW, Expires, RawTask, Scores

NEW = pytest.mark.parametrize(
    ("options", "place", "score"),
    [
        ({}, "wait", None),
        ({"priority": 5}, "prioritized", NOW - 5e13),
        ({"delay_ms": 60_000}, "delayed", NOW + 60_000),
    ],
)


def enqueue(**options: int) -> Enqueue:
    job = NewJob(job_id="j1", data=b'{"x":1}', **options)
    return Enqueue(task="t", version=2, max_attempts=3, jobs=[job])


def run_one(task: RawTask, kind: OutcomeKind, payload: bytes) -> None:
    task.run(enqueue())
    task.run(Exchange(task="t", token="tok", lease_ms=30_000, slots=1))
    outcome = Outcome(kind=kind, job_id="j1", token="tok", payload=payload)
    task.run(Exchange(task="t", token="next", lease_ms=30_000, slots=0, outcomes=[outcome]))


@NEW
def test_to_be_processed_a_job_has_data_a_version_and_a_place(
    task: RawTask, options: dict[str, int], place: str, score: float | None
) -> None:
    task.run(enqueue(**options))
    dump = task.dump()
    record: Any = dump["j1"]
    assert json.loads(record["data"]) == {"x": 1}
    assert int(record["_v"]) >= 1
    assert dump[place] == (["j1"] if score is None else Scores({"j1": score}))


@NEW
def test_to_be_processed_promptly_a_job_comes_with_a_marker(
    task: RawTask, options: dict[str, int], place: str, score: float | None
) -> None:
    task.run(enqueue(**options))
    assert task.read("marker") == Scores({"0": score if place == "delayed" and score else 0})


@NEW
def test_to_be_cancelled_and_listed_a_job_has_a_state_and_a_time(
    task: RawTask, options: dict[str, int], place: str, score: float | None
) -> None:
    task.run(enqueue(**options))
    record = task.read("j1")
    assert record["state"] == ("delayed" if place == "delayed" else "waiting")
    assert record["ts"] == str(NOW)


@pytest.mark.parametrize(
    ("kind", "state", "field"),
    [(OutcomeKind.COMPLETED, "completed", "result"), (OutcomeKind.FAILED, "failed", "error")],
)
def test_to_be_awaited_a_job_has_state_and_result_and_an_event(
    task: RawTask, kind: OutcomeKind, state: str, field: str
) -> None:
    run_one(task, kind, b'"said"')
    record = task.read("j1")
    assert (record["state"], record[field], record["finishedOn"]) == (state, '"said"', str(NOW))
    assert task.read("events")[-1][:4] == ["event", state, "jobId", "j1"]


def test_a_cancelled_job_is_announced(task: RawTask) -> None:
    task.run(enqueue())
    task.run(Cancel(task="t", job_id="j1"))
    assert task.read("j1")["state"] == "cancelled"
    assert task.read("events")[-1][:4] == ["event", "cancelled", "jobId", "j1"]


def test_a_lease_is_the_lock_that_they_look_for(task: RawTask) -> None:
    task.run(enqueue())
    task.run(Exchange(task="t", token="tok", lease_ms=30_000, slots=1))
    assert task.read("j1:lock") == Expires("tok")
    assert 29_000 < task.lifetime_ms("j1:lock") <= 30_000


def test_no_finished_job_of_ours_is_left_for_their_sweep(task: RawTask) -> None:
    task.run(enqueue())
    task.run(Exchange(task="t", token="tok", lease_ms=30_000, slots=1))
    task.client.sadd(f"{BASE}stalled", "j1")
    outcome = Outcome(kind=OutcomeKind.COMPLETED, job_id="j1", token="tok", payload=b"1")
    task.run(Exchange(task="t", token="next", lease_ms=30_000, slots=0, outcomes=[outcome]))
    assert task.read("stalled") is None


def test_progress_and_logs_are_json(task: RawTask) -> None:
    task.run(enqueue())
    task.run(Exchange(task="t", token="tok", lease_ms=30_000, slots=1))
    log = encode_log(LogEntry(level="info", message='a "b" \ud800', timestamp_ms=NOW, meta={"x": float("nan")}))
    entries = [
        ReportEntry(kind="progress", job_id="j1", token="tok", payload=b"42"),
        ReportEntry(kind="log", job_id="j1", token="tok", payload=log),
    ]
    task.run(Report(task="t", entries=entries))
    assert task.read("j1")["progress"] == "42"
    (stored,) = task.read("j1:logs")
    assert json.loads(stored, parse_constant=pytest.fail)["level"] == "info"
    assert task.read("events")[-1] == ["event", "progress", "jobId", "j1", "value", "42"]


@pytest.mark.parametrize("options", [{}, {"priority": 5}, {"delay_ms": 60_000, "ttl_ms": 70_000}])
def test_numbers_are_decimal_integers(task: RawTask, options: dict[str, int]) -> None:
    task.run(enqueue(**options))
    task.run(Exchange(task="t", token="tok", lease_ms=30_000, slots=1))
    record = task.read("j1")
    for name in ("ts", "_v", "attempt", "maxAttempts", "priority", "delay", "expireAt", "processedOn"):
        assert re.fullmatch(r"\d+", record.get(name, "0"))
