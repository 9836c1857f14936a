"""enqueue_controlled: (none) -> waiting | delayed;  delayed -> (none), replaced."""

from typing import Any

import pytest

from taskora.contracts import JobState
from taskora.wire import Control, ControlledJob, EnqueueControlled, NewJob
from tests.transitions.keyspace import NOW, Dump, Events, Expires, RawTask, Scores, event, job

DATA = b'{"n":1}'


def new(job_id: str, data: bytes = DATA, **options: int) -> NewJob:
    return NewJob(job_id=job_id, data=data, **options)


def controlled(job_id: str, control: Control = Control.NONE, *, data: bytes = DATA, **options: Any) -> ControlledJob:
    of_job = {name: options.pop(name) for name in ("delay_ms", "priority", "ttl_ms") if name in options}
    return ControlledJob(job=new(job_id, data, **of_job), control=control, **options)


def dispatch(task: RawTask, *jobs: ControlledJob, resend: bool = False, version: int = 1) -> list[str]:
    """What became of each dispatch, and whom to follow."""
    operation = EnqueueControlled(task="t", version=version, max_attempts=3, jobs=jobs, resend=resend)
    return [f"{reply.verdict.name} {reply.job_id}" for reply in task.run(operation)]


def debounced(job_id: str, **options: Any) -> ControlledJob:
    return controlled(job_id, Control.DEBOUNCE, key="u:1", period_ms=2000, **options)


def throttled(job_id: str, *, amount: int = 2, **options: Any) -> ControlledJob:
    return controlled(job_id, Control.THROTTLE, key="u:1", amount=amount, period_ms=10_000, **options)


def deduplicated(job_id: str, *states: str, **options: Any) -> ControlledJob:
    found = tuple(map(JobState, states or ("waiting", "delayed", "active")))
    return controlled(job_id, Control.DEDUPLICATE, key="u:1", states=found, **options)


def windowed(job_id: str) -> ControlledJob:
    return controlled(job_id, Control.DEDUPLICATE_FOR, key="u:1", period_ms=10_000)


def latest(job_id: str, **options: Any) -> ControlledJob:
    slot: dict[str, Any] = {"concurrency_key": "latest:u:1", "concurrency_limit": 1}
    return controlled(job_id, Control.KEEP_LATEST, key="u:1", **slot, **options)


DEDUP_KEY = "taskora:{t}:dedup:u:1"


def test_a_job_without_any_control_is_like_a_plain_one(task: RawTask) -> None:
    assert dispatch(task, controlled("j1")) == ["CREATED j1"]
    assert task.dump() == {
        "j1": job("waiting", ts=NOW),
        "wait": ["j1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }


def test_a_concurrency_key_is_written_with_its_limit(task: RawTask) -> None:
    dispatch(task, controlled("j1", concurrency_key="org:a", concurrency_limit=2, priority=5, ttl_ms=300_000))
    limits = {"concurrencyKey": "org:a", "concurrencyLimit": 2}
    assert task.read("j1") == job("waiting", ts=NOW, priority=5, expireAt=NOW + 300_000, **limits)
    assert task.read("prioritized") == Scores({"j1": NOW - 5e13})


def test_a_limit_that_nobody_named_reads_as_one_and_is_marked(task: RawTask) -> None:
    dispatch(task, controlled("j1", concurrency_key="org:a"))
    limits = {"concurrencyKey": "org:a", "concurrencyLimit": 1, "py:defaultLimit": 1}
    assert task.read("j1") == job("waiting", ts=NOW, **limits)


def test_lifo_goes_to_the_tail_of_the_list(task: RawTask) -> None:
    task.seed({"a": job(), "wait": ["a"]})
    dispatch(task, controlled("j1", lifo=True), controlled("j2", lifo=True))
    assert task.read("wait") == ["a", "j1", "j2"]


def test_lifo_goes_before_its_priority_and_behind_the_higher_one(task: RawTask) -> None:
    task.seed({"a": job(priority=5), "b": job(priority=6), "prioritized": Scores({"a": NOW - 5e13, "b": NOW - 6e13})})
    dispatch(task, controlled("j1", lifo=True, priority=5))
    assert task.read("prioritized") == Scores({"b": NOW - 6e13, "j1": -NOW - 5e13, "a": NOW - 5e13})


def test_one_call_wakes_once(task: RawTask) -> None:
    dispatch(task, debounced("j1"), controlled("j2", delay_ms=900))
    assert task.read("marker") == Scores({"0": NOW + 900})
    dispatch(task, controlled("j3", delay_ms=100), controlled("j4"))
    assert task.read("marker") == Scores({"0": 0})


@pytest.mark.parametrize("make", [controlled, debounced, throttled, deduplicated, windowed, latest])
def test_an_id_that_is_taken_leaves_everything_as_it_was(task: RawTask, make: Any) -> None:
    before: Dump = {"j1": job(data="other"), "wait": ["j1"]}
    task.seed(before)
    assert dispatch(task, make("j1")) == ["TAKEN j1"]
    assert dispatch(task, make("j1"), resend=True) == ["TAKEN j1"]
    assert task.dump() == before


@pytest.mark.parametrize("make", [controlled, debounced, throttled, deduplicated, windowed, latest])
def test_a_call_that_is_sent_again_changes_nothing(task: RawTask, make: Any) -> None:
    assert dispatch(task, make("j1")) == ["CREATED j1"]
    after = task.dump()
    assert dispatch(task, make("j1"), resend=True) == ["CREATED j1"]
    assert task.dump() == after


def test_debounce_delays_the_job_and_keeps_its_key_twice_as_long(task: RawTask) -> None:
    assert dispatch(task, debounced("j1", delay_ms=7)) == ["CREATED j1"]
    assert task.dump() == {
        "j1": job("delayed", ts=NOW, delay=2000),
        "delayed": Scores({"j1": NOW + 2000}),
        "debounce:u:1": Expires("j1"),
        "marker": Scores({"0": NOW + 2000}),
        "events": Events([event("delayed", "j1")]),
    }
    assert 3_000 < task.lifetime_ms("debounce:u:1") <= 4_000


def test_debounce_replaces_the_pending_job(task: RawTask) -> None:
    task.seed({"j0": job("delayed"), "j0:logs": ["{}"], "delayed": Scores({"j0": NOW + 9}), "debounce:u:1": "j0"})
    assert dispatch(task, debounced("j1")) == ["CREATED j1"]
    assert task.dump() == {
        "j1": job("delayed", ts=NOW, delay=2000),
        "delayed": Scores({"j1": NOW + 2000}),
        "debounce:u:1": Expires("j1"),
        "sent:j0": Expires("j1"),
        "marker": Scores({"0": NOW + 2000}),
        "events": Events([event("debounced", "j0", replacedBy="j1"), event("delayed", "j1")]),
    }


def test_a_debounced_dispatch_that_was_replaced_changes_nothing_when_it_is_sent_again(task: RawTask) -> None:
    dispatch(task, debounced("j0"))
    dispatch(task, debounced("j1"))
    before = task.dump()
    assert dispatch(task, debounced("j0"), resend=True) == ["CREATED j0"]
    assert task.dump() == before


@pytest.mark.parametrize(
    "before",
    [
        pytest.param({"j0": job(), "wait": ["j0"]}, id="promoted"),
        pytest.param({"j0": job("retrying"), "delayed": Scores({"j0": NOW + 5})}, id="waits for its retry"),
        pytest.param({"j0": job("completed"), "completed": Scores({"j0": NOW})}, id="ended"),
        pytest.param({}, id="gone"),
    ],
)
def test_debounce_leaves_a_job_that_is_pending_no_more(task: RawTask, before: Dump) -> None:
    task.seed({**before, "debounce:u:1": Expires("j0")})
    dispatch(task, debounced("j1"))
    assert task.read("j0") == before.get("j0")
    assert task.read("events") == Events([event("delayed", "j1")])
    assert task.read("debounce:u:1") == Expires("j1")


def test_debounce_forgets_that_the_replaced_job_was_too_new(task: RawTask) -> None:
    task.seed({"j0": job("delayed"), "delayed": Scores({"j0": NOW + 9}), "debounce:u:1": Expires("j0")})
    task.seed({"parked:newer": Scores({"j0": 1})})
    dispatch(task, debounced("j1"))
    assert task.read("parked:newer") is None


def test_throttle_counts_in_a_string_with_the_lifetime_of_the_window(task: RawTask) -> None:
    assert dispatch(task, throttled("j1")) == ["CREATED j1"]
    assert task.dump() == {
        "j1": job("waiting", ts=NOW),
        "wait": ["j1"],
        "throttle:u:1": Expires("1"),
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }
    assert 9_000 < task.lifetime_ms("throttle:u:1") <= 10_000


def test_throttle_goes_on_counting_in_the_same_window(task: RawTask) -> None:
    task.client.set("taskora:{t}:throttle:u:1", "1", px=5000)
    dispatch(task, throttled("j1"))
    assert task.read("throttle:u:1") == Expires("2")
    assert 0 < task.lifetime_ms("throttle:u:1") <= 5000


def test_throttle_rejects_without_a_trace(task: RawTask) -> None:
    before: Dump = {"throttle:u:1": Expires("2")}
    task.seed(before)
    assert dispatch(task, throttled("j1"), throttled("j2", delay_ms=5)) == ["THROTTLED j1", "THROTTLED j2"]
    assert task.dump() == before


def test_a_damaged_throttle_counter_starts_a_new_window(task: RawTask) -> None:
    task.seed({"throttle:u:1": "nonsense"})
    assert dispatch(task, throttled("j1")) == ["CREATED j1"]
    assert task.read("throttle:u:1") == Expires("1")


def test_deduplicate_writes_a_key_without_a_lifetime_and_its_whole_name(task: RawTask) -> None:
    assert dispatch(task, deduplicated("j1")) == ["CREATED j1"]
    assert task.dump() == {
        "j1": job("waiting", ts=NOW, dedupKey=DEDUP_KEY),
        "wait": ["j1"],
        "dedup:u:1": "j1",
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "j1")]),
    }


@pytest.mark.parametrize("state", ["waiting", "delayed", "active"])
def test_deduplicate_rejects_without_a_trace(task: RawTask, state: str) -> None:
    task.orphans.add("j0")
    before: Dump = {"j0": job(state, dedupKey=DEDUP_KEY), "dedup:u:1": "j0"}
    task.seed(before)
    assert dispatch(task, deduplicated("j1")) == ["DUPLICATE j0"]
    assert task.dump() == before


@pytest.mark.parametrize("state", ["retrying", "completed", "failed", "expired", "cancelled", "activ", ""])
def test_other_states_do_not_count(task: RawTask, state: str) -> None:
    task.orphans.add("j0")
    task.seed({"j0": job(state, dedupKey=DEDUP_KEY), "dedup:u:1": "j0"})
    assert dispatch(task, deduplicated("j1")) == ["CREATED j1"]
    assert task.read("dedup:u:1") == "j1"


def test_a_key_whose_job_is_gone_is_free(task: RawTask) -> None:
    task.seed({"dedup:u:1": "gone"})
    assert dispatch(task, deduplicated("j1")) == ["CREATED j1"]


def test_a_window_of_time_is_the_lifetime_of_the_key(task: RawTask) -> None:
    assert dispatch(task, windowed("j1")) == ["CREATED j1"]
    assert task.read("j1") == job("waiting", ts=NOW)
    assert task.read("dedup:u:1") == Expires("j1")
    assert 9_000 < task.lifetime_ms("dedup:u:1") <= 10_000
    assert dispatch(task, windowed("j2")) == ["DUPLICATE j1"]
    task.client.delete("taskora:{t}:dedup:u:1")
    assert dispatch(task, windowed("j2")) == ["CREATED j2"]


def test_a_key_that_lasts_as_long_as_its_job_has_no_lifetime_left(task: RawTask) -> None:
    task.seed({"dedup:u:1": Expires("gone")})
    dispatch(task, deduplicated("j1"))
    assert task.lifetime_ms("dedup:u:1") == -1


def test_keep_latest_gives_its_payload_to_the_job_that_waits(task: RawTask) -> None:
    slot: dict[str, Any] = {"concurrencyKey": "latest:u:1", "concurrencyLimit": 1, "dedupKey": DEDUP_KEY}
    before: Dump = {"j0": job(ts=NOW - 9, expireAt=5, **slot), "wait": ["j0"], "dedup:u:1": "j0"}
    task.seed(before)
    assert dispatch(task, latest("j1", data=b"2"), version=4) == ["UPDATED j0"]
    carried: dict[str, Any] = {"_v": 4, "data": "2", "py:carries": "j1"}
    assert task.dump() == before | {"j0": job(ts=NOW - 9, **slot, **carried), "sent:j1": Expires("j0")}
    assert 50_000 < task.lifetime_ms("sent:j1") <= 60_000


def test_keep_latest_brings_its_time_to_live(task: RawTask) -> None:
    dispatch(task, latest("j0"))
    dispatch(task, latest("j1", ttl_ms=70))
    assert task.read("j0")["expireAt"] == str(NOW + 70)


@pytest.mark.parametrize("state", ["active", "retrying", "completed"])
def test_keep_latest_makes_a_job_when_none_waits(task: RawTask, state: str) -> None:
    task.orphans.add("j0")
    task.seed({"j0": job(state), "dedup:u:1": "j0"})
    assert dispatch(task, latest("j1")) == ["CREATED j1"]
    assert task.read("dedup:u:1") == "j1"
    assert task.read("j1")["concurrencyKey"] == "latest:u:1"


def test_an_update_that_is_sent_again_changes_nothing(task: RawTask) -> None:
    dispatch(task, latest("j0"), latest("j1", data=b"2"), latest("j2", data=b"3"))
    after = task.dump()
    assert dispatch(task, latest("j1", data=b"2"), latest("j2", data=b"3"), resend=True) == ["UPDATED j0"] * 2
    assert dispatch(task, latest("j0"), resend=True) == ["CREATED j0"]
    assert task.dump() == after


def test_an_update_that_is_sent_again_after_its_job_ended_does_not_run_again(task: RawTask) -> None:
    task.orphans.add("j0")
    task.seed({"j0": job("completed"), "sent:j1": Expires("j0")})
    assert dispatch(task, latest("j1"), resend=True) == ["UPDATED j0"]
    assert task.read("j1") is None
