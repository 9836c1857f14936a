"""exchange: the claim of a batch."""

from taskora.wire import Claim
from tests.transitions.exchanges import COMPLETED, NEXT, ended, exchange
from tests.transitions.keyspace import NOW, Dump, Events, Expires, RawTask, Scores, event

JOB = {"ts": str(NOW - 1000), "_v": "1", "attempt": "1", "maxAttempts": "3"}
SENTINEL = {**JOB, "state": "waiting", "collectKey": "k", "data": "[]"}
GATHERED: Dump = {
    "collect:k:items": ['{"n":1}', '"\u043f\u0440"', "3"],
    "collect:k:meta": {"count": "3", "lastAt": str(NOW - 1), "firstAt": str(NOW - 9)},
    "collect:k:job": Expires("c"),
}


def test_the_items_become_the_payload_in_the_same_step(task: RawTask) -> None:
    task.seed({"c": SENTINEL, "wait": ["c"], **GATHERED})
    [claim] = task.run(exchange(slots=1)).claims
    assert claim.data == b'[{"n":1},"\xd0\xbf\xd1\x80",3]'
    assert task.dump() == {
        "c": {**JOB, "state": "active", "processedOn": str(NOW), "data": claim.data.decode()},
        "c:lock": Expires(NEXT),
        "active": ["c"],
        "events": Events([event("active", "c", attempt=1)]),
    }


def test_a_batch_that_is_due_is_promoted_and_claimed_by_one_call(task: RawTask) -> None:
    task.seed({"c": {**SENTINEL, "state": "delayed"}, "delayed": Scores({"c": NOW}), **GATHERED})
    assert [claim.job_id for claim in task.run(exchange(slots=1)).claims] == ["c"]


def test_a_batch_without_items_leaves_no_job(task: RawTask) -> None:
    task.seed({"c": SENTINEL, "wait": ["c"]})
    assert task.run(exchange(slots=1)).claims == ()
    assert task.dump() == {}


def test_an_empty_batch_leaves_its_slot_to_others(task: RawTask) -> None:
    task.seed({"c": SENTINEL, "d": {**SENTINEL, "collectKey": "l"}, "wait": ["d", "c"]})
    task.seed({name.replace(":k:", ":l:"): value for name, value in GATHERED.items()})
    assert [claim.job_id for claim in task.run(exchange(slots=1)).claims] == ["d"]


def test_a_repetition_gets_the_same_array(task: RawTask) -> None:
    task.seed({"c": SENTINEL, "wait": ["c"], **GATHERED})
    first = task.run(exchange(slots=1)).claims
    assert task.run(exchange(slots=1, resend=True)).claims == first


def test_ten_thousand_items_are_drained(task: RawTask) -> None:
    task.seed({"c": SENTINEL, "wait": ["c"]})
    task.client.rpush("taskora:{t}:collect:k:items", *map(str, range(10_000)))
    claims: tuple[Claim, ...] = task.run(exchange(slots=1)).claims
    assert claims[0].data == f"[{','.join(map(str, range(10_000)))}]".encode()
    task.run(exchange(ended(COMPLETED, b"1", job_id="c", token=NEXT), token="tok-3"))
