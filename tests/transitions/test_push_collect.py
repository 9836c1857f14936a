"""push_collect: (none) -> delayed | waiting, as a batch."""

from typing import Any

import pytest

from taskora.wire import Collected, Collecting, PushCollect
from tests.transitions.keyspace import NOW, Dump, Events, Expires, RawTask, Scores, event

DELAY, MAX_WAIT = 30_000, 60_000


def push(job_id: str, item: bytes = b'{"g":"a","n":1}', **options: Any) -> PushCollect:
    return PushCollect(
        task="t", version=1, max_attempts=3, job_id=job_id, key="a", item=item, delay_ms=DELAY, **options
    )


def reply(collecting: Collecting, count: int) -> Collected:
    return Collected(collecting=collecting, count=count)


def sentinel(state: str = "delayed", *, ts: int = NOW, **fields: str) -> dict[str, str]:
    base = {"ts": str(ts), "_v": "1", "attempt": "1", "maxAttempts": "3"}
    return {**base, "state": state, "collectKey": "a", "data": "[]", **fields}


def gathered(*items: str, first: int = NOW - 50, last: int = NOW - 7, pending: str = "c0") -> Dump:
    return {
        "collect:a:items": list(items),
        "collect:a:meta": {"count": str(len(items)), "firstAt": str(first), "lastAt": str(last)},
        "collect:a:job": Expires(pending),
    }


def pending(state: str = "delayed", due: int = NOW + 9) -> Dump:
    return {"c0": sentinel(state), **({"delayed": Scores({"c0": due})} if state == "delayed" else {})}


WAITING, FLUSHED, FULL, REPEATED = Collecting.WAITING, Collecting.FLUSHED, Collecting.FULL, Collecting.REPEATED


def test_the_first_item_opens_a_batch(task: RawTask) -> None:
    assert task.run(push("c1", max_wait_ms=MAX_WAIT)) == reply(WAITING, 1)
    assert task.dump() == {
        "collect:a:items": ['{"g":"a","n":1}'],
        "collect:a:meta": {"count": "1", "firstAt": str(NOW), "lastAt": str(NOW)},
        "collect:a:job": Expires("c1"),
        "c1": sentinel(),
        "delayed": Scores({"c1": NOW + DELAY}),
        "marker": Scores({"0": NOW + DELAY}),
        "events": Events([event("collect", "c1", count=1, key="a")]),
        "sent:c1": Expires("1"),
    }
    assert 2 * MAX_WAIT - 1000 < task.lifetime_ms("collect:a:job") <= 2 * MAX_WAIT
    assert 50_000 < task.lifetime_ms("sent:c1") <= 60_000


def test_without_a_longest_wait_the_batch_is_known_twice_its_delay(task: RawTask) -> None:
    task.run(push("c1"))
    assert 2 * DELAY - 1000 < task.lifetime_ms("collect:a:job") <= 2 * DELAY


def test_the_next_item_replaces_the_job_of_the_batch(task: RawTask) -> None:
    task.seed({**gathered("1"), **pending()})
    assert task.run(push("c1", b"2")) == reply(WAITING, 2)
    assert task.dump() == {
        "collect:a:items": ["1", "2"],
        "collect:a:meta": {"count": "2", "firstAt": str(NOW - 50), "lastAt": str(NOW)},
        "collect:a:job": Expires("c1"),
        "c1": sentinel(),
        "delayed": Scores({"c1": NOW + DELAY}),
        "marker": Scores({"0": NOW + DELAY}),
        "events": Events([event("collect", "c1", count=2, key="a")]),
        "sent:c1": Expires("1"),
    }


@pytest.mark.parametrize(
    ("first", "due"), [(NOW - 10, NOW + DELAY), (NOW - DELAY, NOW + DELAY), (NOW - DELAY - 1, NOW + DELAY - 1)]
)
def test_the_batch_is_due_after_the_last_item_or_the_longest_wait(task: RawTask, first: int, due: int) -> None:
    task.seed({**gathered("1", first=first), **pending()})
    task.run(push("c1", b"2", max_wait_ms=MAX_WAIT))
    assert task.read("delayed") == Scores({"c1": due})


def test_a_full_batch_becomes_a_waiting_job(task: RawTask) -> None:
    task.seed({**gathered("1", '"x"'), **pending()})
    assert task.run(push("c1", b"3", max_size=3)) == reply(FLUSHED, 3)
    assert task.dump() == {
        "c1": {
            "state": "waiting",
            "priority": "0",
            "data": '[1,"x",3]',
            "ts": str(NOW),
            "_v": "1",
            "attempt": "1",
            "maxAttempts": "3",
        },
        "wait": ["c1"],
        "marker": Scores({"0": 0}),
        "events": Events([event("waiting", "c1")]),
        "sent:c1": Expires("1"),
    }


def test_items_beyond_the_limit_are_refused_without_a_trace(task: RawTask) -> None:
    before: Dump = {**gathered("1", "2"), **pending()}
    task.seed(before)
    assert task.run(push("c1", b"3", max_items=2)) == reply(FULL, 2)
    assert task.dump() == before


def test_a_job_that_is_due_is_left_alone(task: RawTask) -> None:
    task.seed({**gathered("1"), **pending("waiting"), "wait": ["c0"]})
    assert task.run(push("c1", b"2")) == reply(WAITING, 2)
    dump = task.dump()
    assert dump["collect:a:items"] == ["1", "2"]
    assert (dump["wait"], dump["c0"], dump["collect:a:job"]) == (["c0"], sentinel("waiting"), Expires("c0"))
    assert {"c1", "delayed", "events"}.isdisjoint(dump)


def test_a_batch_that_is_due_and_full_runs_under_the_new_job(task: RawTask) -> None:
    task.seed({**gathered("1"), **pending("waiting"), "wait": ["c0"]})
    assert task.run(push("c1", b"2", max_size=2)) == reply(FLUSHED, 2)
    assert task.read("wait") == ["c1", "c0"]
    assert task.read("c1")["data"] == "[1,2]"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param({"c0": sentinel("cancelled"), "cancelled": Scores({"c0": NOW})}, id="cancelled"),
        pytest.param({}, id="gone"),
        pytest.param({"c0": {"state": "active", "data": "[1]"}, "active": ["c0"]}, id="claimed"),
    ],
)
def test_a_job_that_will_not_take_the_items_is_replaced(task: RawTask, before: Dump) -> None:
    task.seed({**gathered("1"), **before})
    assert task.run(push("c1", b"2")) == reply(WAITING, 2)
    assert task.read("collect:a:job") == Expires("c1")
    assert task.read("c0") == before.get("c0")
    assert "c1" in task.read("delayed")


def test_items_whose_job_nobody_knows_any_more_get_a_new_one(task: RawTask) -> None:
    found = gathered("1")
    del found["collect:a:job"]
    task.seed(found)
    assert task.run(push("c1", b"2")) == reply(WAITING, 2)
    assert task.read("delayed") == Scores({"c1": NOW + DELAY})


def test_a_job_that_was_left_for_newer_workers_is_replaced(task: RawTask) -> None:
    task.seed({**gathered("1"), **pending(), "parked:newer": Scores({"c0": 1})})
    task.run(push("c1", b"2"))
    assert (task.read("parked:newer"), task.read("delayed")) == (None, Scores({"c1": NOW + DELAY}))


@pytest.mark.parametrize("options", [{}, {"max_size": 1}, {"max_items": 1}])
def test_an_item_that_is_sent_again_joins_once(task: RawTask, options: dict[str, Any]) -> None:
    task.run(push("c1", **options))
    after = task.dump()
    count = 0 if "max_size" in options else 1
    assert task.run(push("c1", **options, resend=True)) == reply(REPEATED, count)
    assert task.dump() == after


def test_an_item_that_is_sent_again_after_others_joins_once(task: RawTask) -> None:
    task.run(push("c1"))
    task.run(push("c2"))
    after = task.dump()
    assert task.run(push("c1", resend=True)) == reply(REPEATED, 2)
    assert task.dump() == after


def test_an_item_that_never_came_joins_when_it_is_sent_again(task: RawTask) -> None:
    assert task.run(push("c1", resend=True)) == reply(WAITING, 1)


def test_the_id_of_another_job_is_not_taken_over(task: RawTask) -> None:
    before: Dump = {"c1": sentinel("waiting"), "wait": ["c1"]}
    task.seed(before)
    assert task.run(push("c1")) == reply(REPEATED, 0)
    assert task.dump() == before


def test_keys_do_not_touch_each_other(task: RawTask) -> None:
    task.seed({name.replace(":a:", ":b:"): value for name, value in gathered("9").items()})
    task.run(push("c1", b"1"))
    assert (task.read("collect:a:items"), task.read("collect:b:items")) == (["1"], ["9"])


def test_an_item_is_stored_byte_for_byte(task: RawTask) -> None:
    item = '{"text":"Привет 😀/\\u2028 \\"x\\""}'.encode()
    task.run(push("c1", item))
    assert task.client.lrange("taskora:{t}:collect:a:items", 0, -1) == [item]
