"""exchange: payloads that are newer than the worker."""

import pytest

from taskora.wire import Claim
from tests.transitions.exchanges import exchange
from tests.transitions.keyspace import NOW, Dump, Events, Expires, RawTask, Scores, event, job

LATER = NOW + 30_000


def left(*job_ids: str, version: int = 3, due: int = LATER) -> Dump:
    return {
        **{job_id: job("delayed", _v=version) for job_id in job_ids},
        "delayed": Scores(dict.fromkeys(job_ids, due)),
        "parked:newer": Scores(dict.fromkeys(job_ids, version)),
    }


def ids(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.job_id for claim in claims]


def test_a_newer_job_is_left_without_a_word(task: RawTask) -> None:
    task.seed({"new": job(_v=3, expireAt=NOW + 5), "wait": ["new"]})
    reply = task.run(exchange(slots=1, max_version=2))
    assert (reply.claims, reply.due_ms) == ((), LATER)
    assert task.dump() == {
        "new": job("delayed", _v=3, expireAt=NOW + 5),
        "delayed": Scores({"new": LATER}),
        "parked:newer": Scores({"new": 3}),
        "marker": Scores({"0": LATER}),
    }


@pytest.mark.parametrize(("max_version", "taken"), [(2, []), (3, ["new"]), (4, ["new"])])
def test_who_understands_it_takes_it_at_once(task: RawTask, max_version: int, taken: list[str]) -> None:
    task.seed(left("new"))
    assert ids(task.run(exchange(slots=1, max_version=max_version)).claims) == taken
    assert (task.read("parked:newer") is None) == bool(taken)
    assert (task.read("delayed") is None) == bool(taken)


def test_it_keeps_its_priority(task: RawTask) -> None:
    task.seed({**left("new"), "new": job("delayed", _v=3, priority=2)})
    task.run(exchange(max_version=3))
    assert task.read("prioritized") == Scores({"new": NOW - 1000 - 2e13})
    assert task.read("new")["state"] == "waiting"


def test_without_them_it_is_promoted_after_a_while(task: RawTask) -> None:
    task.seed(left("new", due=NOW))
    task.run(exchange(max_version=2))
    assert (task.read("wait"), task.read("parked:newer")) == (["new"], None)
    assert task.read("events") == Events([event("promoted", "new")])


def test_one_that_left_meanwhile_is_only_forgotten(task: RawTask) -> None:
    task.orphans.add("parked:newer")
    task.seed({"parked:newer": Scores({"gone": 3})})
    assert task.run(exchange(slots=1, max_version=3)).claims == ()
    assert task.dump() == {}


def test_a_batch_that_nobody_understands_keeps_its_items(task: RawTask) -> None:
    items: Dump = {"collect:k:items": ["1"], "collect:k:meta": {"count": "1"}, "collect:k:job": Expires("c")}
    task.seed({"c": job(_v=3, collectKey="k"), "wait": ["c"], **items})
    task.run(exchange(slots=1, max_version=2))
    assert {name: task.read(name) for name in items} == items
