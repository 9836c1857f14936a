"""enqueue: (none) -> waiting | delayed."""

from typing import Any

import pytest

from taskora.wire import Enqueue, NewJob
from tests.transitions.keyspace import NOW, Dump, Events, RawTask, Scores, event, job


def enqueue(*jobs: NewJob, resend: bool = False, max_attempts: int = 3) -> Enqueue:
    return Enqueue(task="t", version=1, max_attempts=max_attempts, jobs=jobs, resend=resend)


def new(job_id: str, data: bytes = b'{"n":1}', **options: int) -> NewJob:
    return NewJob(job_id=job_id, data=data, **options)


def test_a_job_goes_to_the_head_of_the_list_and_wakes_a_worker(task: RawTask) -> None:
    assert task.run(enqueue(new("j1"))) == (True,)
    assert task.dump() == {
        "j1": job("waiting", ts=NOW),
        "wait": ["j1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }


def test_fields_are_written_in_the_order_other_programs_show_them(task: RawTask) -> None:
    task.run(enqueue(new("j1", delay_ms=5, ttl_ms=7)))
    record = task.read("j1")
    assert list(record) == ["ts", "_v", "attempt", "maxAttempts", "state", "priority", "data", "delay", "expireAt"]


def test_a_delayed_job_is_kept_by_its_due_time(task: RawTask) -> None:
    assert task.run(enqueue(new("j1", delay_ms=60_000))) == (True,)
    assert task.dump() == {
        "j1": job("delayed", ts=NOW, delay=60_000),
        "delayed": Scores({"j1": NOW + 60_000}),
        "marker": Scores({"0": NOW + 60_000}),
        "events": Events([event("delayed", "j1")]),
    }


def test_a_prioritized_job_is_scored_by_priority_then_time(task: RawTask) -> None:
    assert task.run(enqueue(new("j1", priority=5)), now_ms=1795299650105) == (True,)
    assert task.dump() == {
        "j1": job("waiting", ts=1795299650105, priority=5),
        "prioritized": Scores({"j1": -48204700349895}),
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }


@pytest.mark.parametrize("priority", [0, -3])
def test_a_job_without_priority_or_below_is_listed(task: RawTask, priority: int) -> None:
    task.run(enqueue(new("j1", priority=priority)))
    assert task.read("wait") == ["j1"]
    assert task.read("j1") == job(ts=NOW, priority=priority)


def test_a_delayed_job_remembers_its_priority_and_deadline(task: RawTask) -> None:
    task.run(enqueue(new("j1", delay_ms=10, priority=7, ttl_ms=300)))
    assert task.read("j1") == job("delayed", ts=NOW, priority=7, delay=10, expireAt=NOW + 300)


def test_a_batch_is_created_in_order_with_one_event_each(task: RawTask) -> None:
    reply = task.run(enqueue(new("a"), new("b", delay_ms=50), new("c", priority=1), new("d")))
    assert reply == (True, True, True, True)
    assert task.read("wait") == ["d", "a"]
    assert task.read("prioritized") == Scores({"c": NOW - 1e13})
    assert task.read("delayed") == Scores({"b": NOW + 50})
    assert task.read("marker") == Scores({"0": 0})
    names = [("waiting", "a"), ("delayed", "b"), ("waiting", "c"), ("waiting", "d")]
    assert task.read("events") == Events([event(name, job_id) for name, job_id in names])


def test_a_delayed_batch_wakes_a_worker_for_its_earliest_job(task: RawTask) -> None:
    task.run(enqueue(new("a", delay_ms=90), new("b", delay_ms=30), new("c", delay_ms=60)))
    assert task.read("marker") == Scores({"0": NOW + 30})


@pytest.mark.parametrize(("before", "after"), [(0, 0), (NOW + 10, NOW + 10), (NOW + 900, NOW + 500)])
def test_a_delayed_job_only_brings_the_marker_forward(task: RawTask, before: int, after: int) -> None:
    task.seed({"marker": Scores({"0": before})})
    task.run(enqueue(new("j1", delay_ms=500)))
    assert task.read("marker") == Scores({"0": after})


def test_a_ready_job_overwrites_a_later_marker(task: RawTask) -> None:
    task.seed({"marker": Scores({"0": NOW + 900})})
    task.run(enqueue(new("j1")))
    assert task.read("marker") == Scores({"0": 0})


def test_an_id_that_is_taken_is_left_alone(task: RawTask) -> None:
    before: Dump = {"j1": job("completed", result="1"), "completed": Scores({"j1": NOW - 5})}
    task.seed(before)
    assert task.run(enqueue(new("j1", b"2"))) == (False,)
    assert task.dump() == before


def test_a_taken_id_does_not_stop_the_rest_of_its_batch(task: RawTask) -> None:
    task.seed({"a": job("active"), "active": ["a"]})
    assert task.run(enqueue(new("a"), new("b"))) == (False, True)
    assert task.read("wait") == ["b"]


def test_an_id_twice_in_one_batch_is_created_once(task: RawTask) -> None:
    assert task.run(enqueue(new("a"), new("a"))) == (True, False)
    assert task.read("wait") == ["a"]


SIZES = [0, 1, 63, 64, 65, 66, 1024, 1025, 1026, 5000]


@pytest.mark.parametrize("options", [{}, {"ttl_ms": 500}, {"delay_ms": 500}, {"priority": 7}])
@pytest.mark.parametrize("size", SIZES)
def test_a_job_of_a_batch_is_stored_as_it_would_be_alone(task: RawTask, size: int, options: dict[str, int]) -> None:
    """Records are copied from others of their batch: payload, fields, their order and the form must be one's own."""
    payloads = {f"j{n}": bytes([65 + n]) * length for n, length in enumerate([0, 1, size, *SIZES, size])}
    task.run(enqueue(*(new(job_id, data, **options) for job_id, data in payloads.items())))
    for job_id, data in payloads.items():
        task.run(enqueue(new(f"alone-{job_id}", data, **options)))
        record, alone = _as_stored(task, job_id), _as_stored(task, f"alone-{job_id}")
        assert record == alone
        assert record[1][b"data"] == data


def _as_stored(task: RawTask, job_id: str) -> tuple[bytes, dict[bytes, bytes], list[bytes]]:
    """The form of a record, its fields, and their order where the form has one."""
    client: Any = task.client
    key = f"taskora:{{t}}:{job_id}"
    form, fields = client.object("ENCODING", key), client.hgetall(key)
    return form, fields, list(fields) if form == b"listpack" else []


def test_jobs_with_different_terms_are_no_copies_of_each_other(task: RawTask) -> None:
    terms: list[dict[str, int]] = [{}, {"ttl_ms": 5}, {"delay_ms": 5}, {"priority": 5}]
    task.run(enqueue(*(new(f"j{n}", b'{"n":1}', **terms[n % 4]) for n in range(8))))
    assert task.read("j4") == task.read("j0") == job("waiting", ts=NOW)
    assert task.read("j5") == task.read("j1") == job("waiting", ts=NOW, expireAt=NOW + 5)
    assert task.read("j6") == task.read("j2") == job("delayed", ts=NOW, delay=5)
    assert task.read("j7") == task.read("j3") == job("waiting", ts=NOW, priority=5)


@pytest.mark.parametrize("options", [{}, {"ttl_ms": 500}])
def test_ids_that_are_taken_are_told_wherever_in_the_batch_they_are(task: RawTask, options: dict[str, int]) -> None:
    task.seed({"a": job("completed"), "c": job("completed"), "completed": Scores({"a": NOW, "c": NOW})})
    task.seed({"f": job("active"), "active": ["f"]})
    reply = task.run(enqueue(*(new(job_id, b"2", **options) for job_id in "abcdef")))
    assert reply == (False, True, False, True, True, False)
    assert task.read("wait") == ["e", "d", "b"]


def test_a_user_who_may_not_copy_may_enqueue(task: RawTask) -> None:
    """Servers whose administrators list the commands that may be used go on working."""
    client: Any = task.client
    client.execute_command("ACL", "SETUSER", "default", "-copy")
    try:
        jobs = [*(new(f"j{n}") for n in range(3)), new("j1"), *(new(f"t{n}", ttl_ms=5) for n in range(3))]
        assert task.run(enqueue(*jobs[:4])) == (True, True, True, False)
        assert task.run(enqueue(*jobs)) == (False, False, False, False, True, True, True)
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+copy")
    assert task.read("wait") == ["t2", "t1", "t0", "j2", "j1", "j0"]
    assert task.read("j2") == job("waiting", ts=NOW)
    assert task.read("t2") == job("waiting", ts=NOW, expireAt=NOW + 5)


def test_an_empty_batch_does_nothing(task: RawTask) -> None:
    assert task.run(enqueue()) == ()
    assert task.dump() == {}


def test_a_repeated_request_finds_its_own_jobs_and_changes_nothing(task: RawTask) -> None:
    request = enqueue(new("a"), new("b", delay_ms=5))
    task.run(request)
    before = task.dump()
    assert task.run(request.again(), now_ms=NOW + 50) == (True, True)
    assert task.dump() == before


def test_a_repeated_request_completes_what_is_missing(task: RawTask) -> None:
    task.run(enqueue(new("a")))
    assert task.run(enqueue(new("a"), new("b"), resend=True)) == (True, True)
    assert task.read("wait") == ["b", "a"]


def test_a_repeated_request_does_not_claim_the_job_of_somebody_else(task: RawTask) -> None:
    task.seed({"a": job(), "wait": ["a"]})
    assert task.run(enqueue(new("a", b'"other"'), resend=True)) == (False,)


def test_a_job_that_has_run_meanwhile_still_counts_as_created(task: RawTask) -> None:
    task.seed({"a": job("completed"), "completed": Scores({"a": NOW})})
    assert task.run(enqueue(new("a"), resend=True)) == (True,)


def test_payloads_are_kept_byte_for_byte(task: RawTask) -> None:
    data = bytes(range(256)) + "Привет 😀".encode()
    task.run(enqueue(new("j1", data)))
    assert task.client.hget("taskora:{t}:j1", "data") == data


def test_a_batch_may_exceed_what_lua_can_unpack(task: RawTask) -> None:
    assert task.run(enqueue(*(new(f"j{n}") for n in range(9000)))) == (True,) * 9000
    assert task.client.llen("taskora:{t}:wait") == 9000


def test_without_an_instant_the_clock_of_the_server_counts(task: RawTask) -> None:
    before = _server_ms(task)
    task.run(enqueue(new("j1", delay_ms=60_000)), now_ms=None)
    after = _server_ms(task)
    ts = int(task.read("j1")["ts"])
    assert before <= ts <= after
    assert task.read("delayed") == Scores({"j1": ts + 60_000})


def test_a_clock_that_went_back_only_dates_the_job_earlier(task: RawTask) -> None:
    task.run(enqueue(new("a", priority=1)))
    task.run(enqueue(new("b", priority=1)), now_ms=NOW - 5000)
    assert task.read("prioritized") == Scores({"b": NOW - 5000 - 1e13, "a": NOW - 1e13})


def _server_ms(task: RawTask) -> int:
    time: Any = task.client.time()
    return int(time[0]) * 1000 + int(time[1]) // 1000
