"""exchange, where one place of jobs holds something of another type: the others are as if it did not."""

import pytest
import redis

from taskora.wire import Pace
from tests.transitions.damage import Damage
from tests.transitions.exchanges import COMPLETED, SETTLED, TOKEN, ended, exchange
from tests.transitions.keyspace import BASE, NOW, Dump, Expires, RawTask, Scores, job, leaks


@pytest.mark.parametrize(
    ("damaged", "claimed"),
    [
        ("wait", {"urgent", "freed"}),
        ("prioritized", {"ready", "freed", "due"}),
        ("delayed", {"ready", "urgent", "freed"}),
        ("parked:freed", {"ready", "urgent", "due"}),
        ("parked:keys", {"ready", "urgent", "freed", "due"}),
    ],
)
@pytest.mark.parametrize("resend", [False, True])
def test_a_damaged_place_holds_up_neither_outcomes_nor_jobs_of_other_places(
    redis_raw: redis.Redis, damaged: str, claimed: set[str], resend: bool
) -> None:
    task = RawTask(redis_raw)
    seed: Dump = {
        "ends": job("active", processedOn=NOW - 100),
        "ends:lock": Expires(TOKEN),
        "active": ["ends"],
        "ready": job(),
        "wait": ["ready"],
        "urgent": job(priority=3),
        "prioritized": Scores({"urgent": NOW - 1000 - 3e13}),
        "due": job("delayed"),
        "delayed": Scores({"due": NOW - 3}),
        "freed": job(concurrencyKey="other", concurrencyLimit=1),
        "parked:freed": ["freed"],
        "parked:keys": Scores({"other": NOW - 5}),
    }
    task.seed(seed)
    damage = Damage(task, damaged)
    settled = exchange(ended(COMPLETED, b"1", job_id="ends"), slots=9, resend=resend)
    reply = task.run(settled)
    assert {claim.job_id for claim in reply.claims} == claimed
    assert len(reply.settlements) == 1
    assert {claim.job_id for claim in task.run(settled.again()).claims} == claimed
    with pytest.raises(redis.ResponseError, match=rf"WRONGTYPE taskora:\{{t\}}:{damaged} is a string"):
        task.run(exchange(slots=9, token="tok-3"))
    damage.mend()
    rest = task.run(exchange(slots=9, token="tok-3")).claims
    assert {claim.job_id for claim in rest} == {"ready", "urgent", "freed", "due"} - claimed
    assert leaks(task.dump()) == []


def test_a_damaged_count_of_starts_lets_nothing_start_and_holds_up_no_outcome(redis_raw: redis.Redis) -> None:
    task = RawTask(redis_raw)
    seed: Dump = {"ends": job("active"), "ends:lock": Expires(TOKEN), "active": ["ends"], "ready": job()}
    task.seed({**seed, "wait": ["ready"], "rate:": "damaged"})
    pace = Pace(max=3, window_ms=1000)
    reply = task.run(exchange(ended(COMPLETED, b"1", job_id="ends"), slots=2, pace=pace))
    assert (reply.settlements, reply.claims) == (SETTLED, ())
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        task.run(exchange(slots=2, pace=pace))
    task.client.delete(f"{BASE}rate:")
    assert [claim.job_id for claim in task.run(exchange(slots=2, pace=pace)).claims] == ["ready"]
