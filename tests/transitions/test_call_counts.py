"""How many commands a transition makes inside the server: counted, not timed.

A job that asks for nothing must pay for nothing; and what waits must cost nothing to what does not.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import pytest
import redis

from taskora.wire import Enqueue, NewJob, Operation, Outcome, Pace, ReserveStart
from tests.transitions.exchanges import COMPLETED, TOKEN, exchange
from tests.transitions.keyspace import BASE, NOW, RawTask, Scores, job

R = TypeVar("R")

# One look at what is delayed, has a priority or is parked; at the list; at what is left, which is woken for.
PER_EXCHANGE = Counter(exists=2, rpop=1, zadd=1)
PER_IDLE_EXCHANGE = Counter(exists=1, rpop=1)
PER_CLAIM = Counter(hlen=1, hmget=1, psetex=1, hset=1, xadd=1)
PER_BATCH_OF_CLAIMS = Counter(lpush=1)
PER_SETTLEMENT = Counter(hlen=1, hset=1, xadd=1)
PER_BATCH_OF_SETTLEMENTS = Counter({"mget": 1, "rpop": 1, "del": 1, "srem": 1, "zadd": 1})
PER_FIRST_NEW_JOB = Counter(exists=1, hset=1, xadd=1)
PER_NEW_JOB = Counter(copy=1, hset=1, xadd=1)
PER_BATCH_OF_NEW_JOBS = Counter(lpush=1, zadd=1)
NOT_COUNTED = ("eval", "info", "config", "client", "hello", "select", "ping")


@pytest.fixture
def task(redis_raw: redis.Redis) -> RawTask:
    """The raw keys of one task; thousands of them, so nobody looks at what is left."""
    return RawTask(redis_raw)


def calls_of(task: RawTask, operation: Operation[R]) -> tuple[Counter[str], R]:
    """The commands that an operation made inside its script, and its reply."""
    raw: Any = task.client
    raw.config_resetstat()
    reply = task.run(operation)
    stats: dict[str, dict[str, int]] = raw.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    return Counter({name: count for name, count in calls.items() if not name.startswith(NOT_COUNTED)}), reply


def times(counts: Counter[str], factor: int) -> Counter[str]:
    return Counter({name: count * factor for name, count in counts.items()})


def jobs_in_list(task: RawTask, count: int) -> None:
    jobs = [NewJob(job_id=f"plain-{n}", data=b"1") for n in range(count)]
    assert all(task.run(Enqueue(task="t", version=1, max_attempts=1, jobs=jobs)))


def claimed_then_ended(task: RawTask, count: int) -> Sequence[Outcome]:
    claims = task.run(exchange(slots=count, token=TOKEN)).claims
    assert len(claims) == count
    return [
        Outcome(kind=COMPLETED, job_id=claim.job_id, token=TOKEN, payload=b"1", plain=claim.plain) for claim in claims
    ]


@pytest.mark.parametrize("count", [1, 10, 100])
@pytest.mark.parametrize("terms", [{}, {"ttl_ms": 1000}], ids=["plain", "with terms"])
def test_a_job_is_enqueued_with_three_commands_and_a_batch_with_two_more(
    task: RawTask, count: int, terms: dict[str, int]
) -> None:
    jobs = [NewJob(job_id=f"plain-{n}", data=b"1", **terms) for n in range(count)]
    calls, _ = calls_of(task, Enqueue(task="t", version=1, max_attempts=1, jobs=jobs))
    assert calls == PER_FIRST_NEW_JOB + times(PER_NEW_JOB, count - 1) + PER_BATCH_OF_NEW_JOBS


@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_plain_job_is_claimed_with_five_commands_and_settled_with_three(task: RawTask, count: int) -> None:
    jobs_in_list(task, 4 * count)
    first = claimed_then_ended(task, count)
    task.run(exchange(*first))  # the counter of this minute exists from now on
    outcomes = claimed_then_ended(task, count)
    calls, reply = calls_of(task, exchange(*outcomes, slots=count))
    assert len(reply.claims) == count
    per_call = PER_EXCHANGE + PER_BATCH_OF_SETTLEMENTS + PER_BATCH_OF_CLAIMS
    per_call += Counter(incr=1) if count == 1 else Counter(incrby=1)
    assert calls == per_call + times(PER_CLAIM + PER_SETTLEMENT, count)


def test_an_idle_exchange_makes_two_commands(task: RawTask) -> None:
    calls, _ = calls_of(task, exchange(slots=10))
    assert calls == PER_IDLE_EXCHANGE


def test_the_servers_clock_costs_one_command(task: RawTask) -> None:
    raw: Any = task.client
    raw.config_resetstat()
    task.run(exchange(slots=10), now_ms=None)
    assert raw.info("commandstats")["cmdstat_time"]["calls"] == 1


def blocked_keys(task: RawTask, count: int) -> None:
    """So many concurrency keys that are taken by a job each, with one more job parked for it."""
    if count == 0:
        return
    pipeline: Any = task.client.pipeline(transaction=False)
    for n in range(count):
        key = f"org-{n}"
        pipeline.set(f"{BASE}conc:{key}", 1)
        pipeline.hset(f"{BASE}p{n}", mapping=job(concurrencyKey=key, concurrencyLimit=1))
        pipeline.zadd(f"{BASE}parked:key:{key}", {f"p{n}": NOW - 100})
    pipeline.zadd(f"{BASE}parked:keys", {f"org-{n}": NOW - 1000 + n / 100 for n in range(count)})
    pipeline.set(f"{BASE}parked:count", count)
    pipeline.execute()


def blocked_jobs(task: RawTask, count: int) -> None:
    """One concurrency key that is taken, with so many jobs parked for it; two of them have a record."""
    task.seed(
        {
            "conc:org": "1",
            "p0": job(concurrencyKey="org", concurrencyLimit=1),
            "p1": job(concurrencyKey="org", concurrencyLimit=1),
            "parked:key:org": Scores({f"p{n}": NOW - 1000 + n / 1000 for n in range(count)}),
            "parked:keys": Scores({"org": NOW - 5}),
            "parked:count": str(count),
        }
    )


def claim_of_ten(task: RawTask) -> Counter[str]:
    jobs_in_list(task, 20)
    calls, reply = calls_of(task, exchange(slots=10))
    assert len(reply.claims) == 10
    return calls


def emptied(task: RawTask) -> None:
    task.client.flushall()


def test_claims_cost_the_same_however_many_keys_are_blocked(task: RawTask) -> None:
    counts: list[Counter[str]] = []
    for keys in (0, 10, 10_000):
        emptied(task)
        blocked_keys(task, keys)
        counts.append(claim_of_ten(task))
    nothing, few, many = counts
    assert many == few
    # For the jobs that are parked: three keys are looked at again, and the freed list; what is delayed, twice; what
    # has a priority.
    looks = Counter(exists=1, zrange=1 + 3 + 1 + 2, zrem=1, zadd=1, hmget=3, get=3, llen=1, rpop=1, zpopmin=1)
    assert few - nothing == looks


def test_claims_cost_the_same_however_many_jobs_of_a_key_are_blocked(task: RawTask) -> None:
    counts: list[Counter[str]] = []
    for jobs in (10, 100_000):
        emptied(task)
        blocked_jobs(task, jobs)
        counts.append(claim_of_ten(task))
    assert counts[0] == counts[1]
    emptied(task)
    assert (counts[0] - claim_of_ten(task)).total() == 13


@pytest.mark.parametrize("seed", [blocked_keys, blocked_jobs])
def test_a_settled_job_of_a_key_costs_the_same_however_much_is_blocked(task: RawTask, seed: Any) -> None:
    counts: list[Counter[str]] = []
    for blocked in (10, 2_000):
        emptied(task)
        seed(task, blocked)
        holds = job("active", concurrencyKey="org" if seed is blocked_jobs else "org-7", concurrencyLimit=1)
        task.seed({"j1": holds, "j1:lock": TOKEN, "active": ["j1"]})
        outcome = Outcome(kind=COMPLETED, job_id="j1", token=TOKEN, payload=b"1")
        calls, reply = calls_of(task, exchange(outcome, slots=1))
        assert [claim.job_id for claim in reply.claims] == ["p0" if seed is blocked_jobs else "p7"]
        counts.append(calls)
    assert counts[0] == counts[1]


def test_jobs_of_a_rate_limit_pay_three_commands_per_claim_and_one_per_job(task: RawTask) -> None:
    plain = claim_of_ten(task)
    emptied(task)
    jobs_in_list(task, 20)
    calls, reply = calls_of(task, exchange(slots=10, pace=Pace(max=1000, window_ms=60_000)))
    assert len(reply.claims) == 10
    assert calls - plain == Counter(zremrangebyscore=1, zcard=1, zadd=10, pexpire=1)


def test_a_place_in_a_rate_limit_costs_the_same_however_many_keys_are_limited(task: RawTask) -> None:
    counts: list[Counter[str]] = []
    for keys in (1, 10_000):
        emptied(task)
        pipeline: Any = task.client.pipeline(transaction=False)
        for n in range(keys):
            pipeline.zadd(f"{BASE}rate:org-{n}", {"x:1": NOW - 10})
        pipeline.execute()
        place = ReserveStart(task="t", key="org-0", start_id="j1:1", max=2, window_ms=60_000)
        calls, wait_ms = calls_of(task, place)
        assert wait_ms == 0
        counts.append(calls)
    assert counts[0] == counts[1] == Counter(zscore=1, zremrangebyscore=1, zcard=1, zadd=1, pexpire=1)


@pytest.mark.parametrize(
    ("position", "searches"),
    [("left", Counter(rpop=2, rpush=1, llen=1, lpos=1, lrem=1)), ("right", Counter(rpop=2))],
)
def test_settling_searches_past_jobs_that_run_for_long_from_the_near_end(
    task: RawTask, position: str, searches: Counter[str]
) -> None:
    others = [f"long-{n}" for n in range(10_000)]
    task.seed({"j1": job("active"), "j1:lock": TOKEN})
    task.seed({"active": ["j1", *others] if position == "left" else [*others, "j1"]})
    outcome = Outcome(kind=COMPLETED, job_id="j1", token=TOKEN, payload=b"1")
    calls, _ = calls_of(task, exchange(outcome, slots=1))
    names = ("rpop", "rpush", "llen", "lpos", "lrem")
    assert Counter({name: calls[name] for name in names if calls[name]}) == searches
    raw: Any = task.client
    assert raw.lrange(f"{BASE}active", 0, -1) == [name.encode() for name in others]
