"""recover_stalled: active -> waiting | failed | cancelled."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from taskora.wire import Exchange, ExtendLeases, Lease, Outcome, OutcomeKind, Recovered, RecoverStalled
from tests.servers import Server
from tests.transitions.keyspace import MINUTE, NOW, Dump, Events, Expires, RawTask, Scores, event, job

ERROR = "Job stalled and exceeded max stalled count"
COMPLETED_J0 = Outcome(kind=OutcomeKind.COMPLETED, job_id="j0", token="tok", payload=b"1")
QUIET = Recovered(recovered=(), failed=(), cancelled=())


def sweep(max_count: int = 1, cursor: int = 0) -> RecoverStalled:
    return RecoverStalled(task="t", max_count=max_count, cursor=cursor)


def sweep_through(task: RawTask) -> list[Recovered]:
    """All calls of one sweep."""
    replies = [task.run(sweep())]
    while (cursor := replies[-1].cursor) is not None:
        replies.append(task.run(sweep(cursor=cursor)))
    return replies


def abandoned(**fields: Any) -> Dump:
    """A job without a lease that was active at the previous sweep, too."""
    return {"j1": job("active", **fields), "active": ["j1"], "stalled": {"j1"}}


def test_an_abandoned_job_waits_again_with_its_attempt(task: RawTask) -> None:
    task.seed(abandoned(attempt=2))
    assert task.run(sweep()) == Recovered(recovered=("j1",), failed=(), cancelled=())
    assert task.dump() == {
        "j1": job("waiting", attempt=2, stalledCount=1),
        "wait": ["j1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("stalled", "j1", count=1, action="recovered")]),
    }


def test_an_abandoned_job_with_a_priority_returns_to_its_place(task: RawTask) -> None:
    task.seed(abandoned(priority=4))
    task.run(sweep())
    assert task.read("prioritized") == Scores({"j1": NOW - 1000 - 4e13})


def test_a_job_that_stalls_too_often_fails(task: RawTask) -> None:
    task.seed({**abandoned(stalledCount=1, attempt=2, dedupKey="taskora:{t}:dedup:k"), "dedup:k": "j1"})
    assert task.run(sweep()) == Recovered(recovered=(), failed=("j1",), cancelled=())
    assert task.dump() == {
        "j1": job("failed", attempt=2, stalledCount=2, dedupKey="taskora:{t}:dedup:k", finishedOn=NOW, error=ERROR),
        "failed": Scores({"j1": NOW}),
        f"metrics:failed:{MINUTE}": Expires("1"),
        "events": Events(
            [event("stalled", "j1", count=2, action="failed"), event("failed", "j1", attempt=2, error=ERROR)]
        ),
    }


def test_a_limit_of_three_recovers_three_times_and_fails_the_fourth(task: RawTask) -> None:
    task.seed(abandoned())
    for _ in range(3):
        assert task.run(sweep(3)).recovered == ("j1",)
        task.run(Exchange(task="t", token="tok", lease_ms=60_000, slots=1))
        task.client.delete("taskora:{t}:j1:lock")
        assert task.run(sweep(3)) == QUIET
    assert task.run(sweep(3)).failed == ("j1",)


def test_a_limit_of_none_fails_at_once(task: RawTask) -> None:
    task.seed(abandoned())
    assert task.run(sweep(0)).failed == ("j1",)


def test_a_job_whose_cancellation_was_requested_ends_as_cancelled(task: RawTask) -> None:
    record = {"cancelledAt": NOW - 5, "cancelReason": "by hand", "dedupKey": "taskora:{t}:dedup:k"}
    task.seed({**abandoned(**record), "dedup:k": "j1"})
    assert task.run(sweep()) == Recovered(recovered=(), failed=(), cancelled=("j1",))
    assert task.dump() == {
        "j1": job("cancelled", **record, finishedOn=NOW),
        "cancelled": Scores({"j1": NOW}),
        "events": Events([event("cancelled", "j1", reason="by hand")]),
    }


@pytest.mark.parametrize("fields", [{}, {"cancelledAt": NOW}, {"stalledCount": 9}])
def test_every_way_out_gives_the_concurrency_slot_back(task: RawTask, fields: dict[str, Any]) -> None:
    task.seed({**abandoned(concurrencyKey="org", concurrencyLimit=1, **fields), "conc:org": "1"})
    task.run(sweep())
    assert task.read("conc:org") is None
    assert task.read("marker") == Scores({"0": 0})


def test_a_deduplication_key_of_a_newer_job_stays(task: RawTask) -> None:
    task.seed({**abandoned(stalledCount=9, dedupKey="taskora:{t}:dedup:k"), "dedup:k": "j2"})
    task.run(sweep())
    assert task.read("dedup:k") == "j2"


def test_a_job_with_a_lease_stays_a_candidate(task: RawTask) -> None:
    before: Dump = {**abandoned(), "j1:lock": Expires("tok-1")}
    task.seed(before)
    assert task.run(sweep()) == QUIET
    assert task.dump() == before


def test_the_first_sweep_only_makes_candidates(task: RawTask) -> None:
    task.seed({"a": job("active"), "b": job("active"), "b:lock": Expires("tok"), "active": ["b", "a"]})
    assert task.run(sweep()) == QUIET
    assert task.read("stalled") == {"a", "b"}
    assert task.read("active") == ["b", "a"]


def test_a_renewed_lease_takes_a_job_out_until_the_sweep_after_next(task: RawTask) -> None:
    task.seed({**abandoned(), "j1:lock": Expires("tok-1")})
    task.run(ExtendLeases(task="t", lease_ms=60_000, leases=[Lease(job_id="j1", token="tok-1")]))
    assert task.read("stalled") is None
    assert task.run(sweep()) == QUIET
    assert task.read("j1:lock") == Expires("tok-1")


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_a_candidate_that_has_ended_is_only_forgotten(task: RawTask, state: str) -> None:
    record: Dump = {"j1": job(state, finishedOn=NOW - 5), state: Scores({"j1": NOW - 5})}
    task.seed({**record, "stalled": {"j1"}})
    assert task.run(sweep()) == QUIET
    assert task.dump() == record


def test_a_candidate_that_waits_again_is_only_forgotten(task: RawTask) -> None:
    task.seed({"j1": job(), "wait": ["j1"], "stalled": {"j1"}})
    assert task.run(sweep()) == QUIET
    assert task.dump() == {"j1": job(), "wait": ["j1"]}


@pytest.mark.parametrize("leftover", [{}, {"j1": {"progress": "1"}}, {"j1": "a string"}])
def test_a_candidate_without_a_job_is_taken_out_of_active(task: RawTask, leftover: Dump) -> None:
    task.orphans.add("j1")
    task.seed({**leftover, "active": ["j1"], "stalled": {"j1"}})
    assert task.run(sweep()) == QUIET
    assert task.dump() == leftover


def test_a_second_sweep_finds_nothing_left_to_do(task: RawTask) -> None:
    task.seed(abandoned())
    task.run(sweep())
    before = task.dump()
    assert task.run(sweep()) == QUIET
    assert task.dump() == before


def test_sweeps_at_the_same_time_recover_a_job_once(task: RawTask, server: Server) -> None:
    task.seed(abandoned())
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(_sweep_on_its_own, [server] * 4))
    assert [reply.recovered for reply in replies].count(("j1",)) == 1
    assert task.read("wait") == ["j1"]


def test_more_active_jobs_than_lua_can_unpack_are_swept(task: RawTask) -> None:
    ids = [f"j{n}" for n in range(9000)]
    pipeline = task.client.pipeline(transaction=False)
    for job_id in ids:
        pipeline.hset(f"taskora:{{t}}:{job_id}", mapping={"state": "active", "_v": "1", "data": "1"})
    pipeline.rpush("taskora:{t}:active", *ids)
    pipeline.execute()
    assert [reply.recovered for reply in sweep_through(task)] == [()] * 19
    assert task.read("stalled") == set(ids)
    found = [reply.recovered for reply in sweep_through(task)]
    assert [len(job_ids) for job_ids in found] == [500] * 18
    assert [job_id for job_ids in found for job_id in job_ids] == ids[::-1]
    assert task.read("stalled") is None


def running(*job_ids: str, key: str = "org") -> Dump:
    """Jobs with leases, the oldest claim first."""
    seed: Dump = {"active": [*job_ids[::-1]]}
    for job_id in job_ids:
        seed[job_id] = job("active", concurrencyKey=key, concurrencyLimit=9000)
        seed[f"{job_id}:lock"] = Expires("tok")
    return seed


def test_slots_of_many_jobs_are_counted_in_one_step_after_their_keys_were_learnt(task: RawTask) -> None:
    task.seed({**running(*(f"j{n}" for n in range(1200))), "conc:org": "7"})
    replies = sweep_through(task)
    assert [reply.cursor for reply in replies] == [500, 1000, 1500, None]
    assert task.read("conc:org") == "1200"
    assert task.read("parked:learnt") is None


def test_what_is_learnt_during_a_sweep_has_a_lifetime(task: RawTask) -> None:
    task.seed(running(*(f"j{n}" for n in range(501))))
    assert task.run(sweep()).cursor == 500
    learnt = task.read("parked:learnt")
    assert isinstance(learnt, Expires)
    assert task.client.hget("taskora:{t}:parked:learnt", "j0") == b"org"


def test_jobs_that_start_and_end_between_the_calls_of_a_sweep_are_counted_as_they_are(task: RawTask) -> None:
    task.seed({**running(*(f"j{n}" for n in range(700))), "conc:org": "700"})
    cursor = task.run(sweep()).cursor
    task.run(Exchange(task="t", token="x", lease_ms=9, slots=0, outcomes=[COMPLETED_J0]))
    names = [f"k{n}" for n in range(600)]
    more = running(*names, key="new")
    del more["active"]
    task.client.lpush("taskora:{t}:active", *names)
    task.seed({**more, "conc:new": "3"})
    while cursor is not None:
        cursor = task.run(sweep(cursor=cursor or 0)).cursor
    assert (task.read("conc:org"), task.read("conc:new")) == ("699", "600")


def test_a_sweep_that_another_one_begins_anew_still_ends(task: RawTask) -> None:
    task.seed({**running(*(f"j{n}" for n in range(1600))), "conc:org": "7"})
    cursors = [task.run(sweep()).cursor, task.run(sweep(cursor=500)).cursor, task.run(sweep(cursor=1000)).cursor]
    assert cursors == [1000 // 2, 1000, 1500]
    assert task.run(sweep()).cursor == 500
    calls = 0
    cursor: int | None = 1500
    while cursor is not None:
        cursor = task.run(sweep(cursor=cursor)).cursor
        calls += 1
    assert (task.read("conc:org"), calls) == ("1600", 3)


def test_of_many_keys_that_nothing_holds_those_go_first_that_waited_longest(task: RawTask) -> None:
    names = [f"k{n:04}" for n in range(2100)]
    task.seed({f"a{name}": job(concurrencyKey=name, concurrencyLimit=1) for name in names})
    task.seed({f"parked:key:{name}": Scores({f"a{name}": NOW}) for name in names})
    task.seed({"parked:keys": Scores({name: NOW - 9000 + place for place, name in enumerate(names)})})
    task.seed({"parked:count": "2100"})
    task.run(sweep())
    assert task.read("parked:freed") == [f"a{name}" for name in names[:2000]][::-1]
    task.run(sweep())
    assert task.read("parked:keys") is None


def _sweep_on_its_own(server: Server) -> Recovered:
    with server.client() as client:
        return RawTask(client).run(sweep())


KEYED: dict[str, Any] = {"concurrencyKey": "org", "concurrencyLimit": 1}


def parked(*job_ids: str, key: str = "org") -> Dump:
    return {
        **{job_id: job(concurrencyKey=key, concurrencyLimit=1) for job_id in job_ids},
        f"parked:key:{key}": Scores({job_id: NOW + place for place, job_id in enumerate(job_ids)}),
        "parked:keys": Scores({key: NOW}),
        "parked:count": str(len(job_ids)),
    }


def test_an_abandoned_job_gives_its_slot_to_the_first_that_is_parked(task: RawTask) -> None:
    task.seed({**abandoned(**KEYED), "conc:org": "1", **parked("a", "b")})
    assert task.run(sweep()).recovered == ("j1",)
    assert (task.read("conc:org"), task.read("parked:freed")) == (None, ["b", "a"])
    assert task.read("wait") == ["j1"]


@pytest.mark.parametrize(("counted", "freed"), [("3", ["a"]), ("2", ["a"]), ("1", None), (None, None)])
def test_slots_are_counted_anew(task: RawTask, counted: str | None, freed: list[str] | None) -> None:
    task.seed({"j1": job("active", **KEYED), "j1:lock": Expires("tok"), "active": ["j1"], **parked("a", "b")})
    task.seed({} if counted is None else {"conc:org": counted})
    assert task.run(sweep()) == QUIET
    assert (task.read("conc:org"), task.read("parked:freed")) == ("1", freed)
    assert task.read("marker") == (Scores({"0": 0}) if freed else None)


@pytest.mark.parametrize("counted", ["1", None])
def test_a_key_that_nothing_holds_lets_its_first_job_go(task: RawTask, counted: str | None) -> None:
    task.seed({**parked("a", "b"), **({} if counted is None else {"conc:org": counted})})
    task.run(sweep())
    assert (task.read("conc:org"), task.read("parked:freed")) == (None, ["a"])
    assert task.read("marker") == Scores({"0": 0})


def test_a_job_that_was_deleted_while_it_ran_holds_no_slot(task: RawTask) -> None:
    task.seed({"active": ["gone"], "gone:lock": Expires("tok"), "conc:org": "1", **parked("a")})
    task.run(sweep())
    assert (task.read("conc:org"), task.read("parked:freed")) == (None, ["a"])


def test_a_damaged_counter_is_counted_anew(task: RawTask) -> None:
    task.seed({"j1": job("active", **KEYED), "j1:lock": Expires("tok"), "active": ["j1"], "conc:org": "nonsense"})
    task.run(sweep())
    assert task.read("conc:org") == "1"


def counting(every_ms: int = 27_000) -> RecoverStalled:
    return RecoverStalled(task="t", max_count=1, count_every_ms=every_ms)


def test_a_number_of_stalls_that_is_none_begins_anew_and_loses_no_job(task: RawTask) -> None:
    task.seed(abandoned(stalledCount="often"))
    assert task.run(sweep()).recovered == ("j1",)
    assert task.read("j1")["stalledCount"] == "1"
    assert task.read("wait") == ["j1"]


def test_of_several_workers_one_counts_slots_and_each_looks_for_lost_jobs(task: RawTask) -> None:
    task.seed({**running("j0"), "conc:org": "7"})
    task.run(counting())
    assert (task.read("conc:org"), task.read("parked:counted")) == ("1", Expires(str(NOW)))
    assert 0 < task.lifetime_ms("parked:counted") <= 27_000
    task.seed({**running("j1"), "conc:org": "8"})
    task.client.config_resetstat()
    assert task.run(counting(), now_ms=NOW + 26_999) == QUIET
    assert (task.read("conc:org"), task.read("stalled")) == ("8", {"j0", "j1"})
    assert "cmdstat_hmget" not in task.client.info("commandstats")
    task.client.delete("taskora:{t}:j1:lock")
    assert task.run(counting(), now_ms=NOW + 26_999).recovered == ("j1",)


def test_slots_are_counted_again_after_a_while(task: RawTask) -> None:
    task.seed(running("j0"))
    task.run(counting())
    task.seed({"conc:org": "7"})
    task.run(counting(), now_ms=NOW + 27_000)
    assert (task.read("conc:org"), task.read("parked:counted")) == ("1", Expires(str(NOW + 27_000)))


@pytest.mark.parametrize(
    ("every_ms", "now_ms"),
    [(0, NOW + 1), (1, NOW + 1), (27_000, NOW - 1)],
    ids=["a worker that always counts", "a worker with a shorter interval", "a clock that was set back"],
)
def test_a_count_that_was_made_lately_does_not_serve(task: RawTask, every_ms: int, now_ms: int) -> None:
    task.seed(running("j0"))
    task.run(counting())
    task.seed({"conc:org": "7"})
    task.run(counting(every_ms), now_ms=now_ms)
    assert task.read("conc:org") == "1"


def test_a_damaged_note_of_a_count_does_not_put_it_off(task: RawTask) -> None:
    task.seed({**running("j0"), "conc:org": "7", "parked:counted": Expires("soon")})
    task.run(counting())
    assert (task.read("conc:org"), task.read("parked:counted")) == ("1", Expires(str(NOW)))


def test_a_sweep_that_finds_that_another_has_counted_needs_no_further_call(task: RawTask) -> None:
    task.seed({**running(*(f"j{n}" for n in range(1200))), "conc:org": "7"})
    first = task.run(counting())
    assert first.cursor == 500
    task.seed({"parked:counted": Expires(str(NOW))})
    assert task.run(replace(counting(), cursor=500)).cursor is None
    assert (task.read("conc:org"), task.client.scard("taskora:{t}:stalled")) == ("7", 1200)
