"""report: active -> active, with progress and log entries."""

from typing import Literal

import pytest
from redis.exceptions import ResponseError

from taskora.wire import Report, ReportEntry
from tests.transitions.keyspace import Dump, Events, Expires, RawTask, event, job

ACTIVE: Dump = {"j1": job("active"), "j1:lock": Expires("tok-1"), "active": ["j1"]}


def entry(kind: Literal["progress", "log"], payload: bytes, *, token: str = "tok-1") -> ReportEntry:
    return ReportEntry(kind=kind, job_id="j1", token=token, payload=payload)


def report(*entries: ReportEntry) -> Report:
    return Report(task="t", entries=entries)


def test_progress_replaces_the_last_and_each_is_an_event(task: RawTask) -> None:
    task.seed(ACTIVE)
    assert task.run(report(entry("progress", b"50"), entry("progress", b'{"step":2}'))) == (True, True)
    assert task.dump() == {
        **ACTIVE,
        "j1": job("active", progress='{"step":2}'),
        "events": Events([event("progress", "j1", value="50"), event("progress", "j1", value='{"step":2}')]),
    }


def test_log_entries_are_appended_in_order_without_events(task: RawTask) -> None:
    task.seed({**ACTIVE, "j1:logs": ["first"]})
    assert task.run(report(entry("log", b"second"), entry("log", b"third"))) == (True, True)
    assert task.dump() == {**ACTIVE, "j1:logs": ["first", "second", "third"]}


@pytest.mark.parametrize("kind", ["progress", "log"])
def test_a_late_caller_writes_nothing(task: RawTask, kind: Literal["progress", "log"]) -> None:
    task.seed(ACTIVE)
    assert task.run(report(entry(kind, b"1", token="tok-0"))) == (False,)
    assert task.dump() == ACTIVE


@pytest.mark.parametrize("kind", ["progress", "log"])
def test_a_job_that_has_ended_is_not_written_to(task: RawTask, kind: Literal["progress", "log"]) -> None:
    assert task.run(report(entry(kind, b"1"))) == (False,)
    assert task.dump() == {}


def test_each_entry_is_judged_by_itself(task: RawTask) -> None:
    task.seed(ACTIVE)
    entries = (entry("log", b"a", token="tok-0"), entry("log", b"b"), entry("progress", b"1", token="tok-0"))
    assert task.run(report(*entries)) == (False, True, False)
    assert task.read("j1:logs") == ["b"]


def test_a_log_keeps_its_newest_ten_thousand_entries(task: RawTask) -> None:
    task.seed({**ACTIVE, "j1:logs": [str(n) for n in range(10_000)]})
    task.run(report(entry("log", b"10000"), entry("log", b"10001")))
    log = task.read("j1:logs")
    assert (len(log), log[0], log[-1]) == (10_000, "2", "10001")


def test_more_entries_than_lua_can_unpack_are_written(task: RawTask) -> None:
    task.seed(ACTIVE)
    assert task.run(report(*(entry("log", str(n).encode()) for n in range(9000)))) == (True,) * 9000
    assert len(task.read("j1:logs")) == 9000


def test_payloads_are_kept_byte_for_byte(task: RawTask) -> None:
    task.seed(ACTIVE)
    task.run(report(entry("progress", '"Привет 😀"'.encode())))
    assert task.read("j1")["progress"] == '"Привет 😀"'


def test_a_server_that_is_out_of_memory_writes_all_entries_or_none(task: RawTask) -> None:
    task.seed(ACTIVE)
    task.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(ResponseError, match="maxmemory"):
            task.run(report(*(entry("log", b"1") for _ in range(3)), entry("progress", b"50")))
    finally:
        task.client.config_set("maxmemory", 0)
    assert task.dump() == ACTIVE
