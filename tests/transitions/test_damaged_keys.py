"""Keys that hold what they must not: no job is lost, an error names the key, and once it is mended all goes on.

A server does not take back what a script did before an error. So each script is run with each key of a task replaced by
something of another type, mended, and sent again; then the task is worked off.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
import redis

from taskora.contracts import JobState
from taskora.wire import (
    NEWEST,
    Cancel,
    CancelSteps,
    DispatchOccurrences,
    Enqueue,
    EnqueueSteps,
    Exchange,
    ExtendLeases,
    Lease,
    NewJob,
    Occurrence,
    Operation,
    Outcome,
    OutcomeKind,
    Prune,
    PushCollect,
    RecoverStalled,
    Report,
    ReportEntry,
    RetryDead,
    StepJob,
)
from tests.transitions.damage import Damage
from tests.transitions.exchanges import (
    CANCELLED,
    COMPLETED,
    DECLINED,
    FAILED,
    RELEASED,
    RETRYING,
    TOKEN,
    ended,
    exchange,
)
from tests.transitions.keyspace import BASE, MINUTE, NOW, Dump, Events, Expires, RawTask, Scores, event, job, leaks

LATER: Final = NOW + 3_600_000
RUNNING: Final = ("plain", "retries", "fails", "stops", "released", "declined", "step", "keyed")


def world() -> Dump:
    """A task with a job in every place and of every kind."""
    keyed: dict[str, Any] = {"concurrencyKey": "org", "concurrencyLimit": 1}
    running: Dump = {name: job("active", processedOn=NOW - 100) for name in RUNNING}
    running["step"] = job("active", processedOn=NOW - 100, _wf="w", _wfNode=0)
    running["keyed"] = job("active", processedOn=NOW - 100, **keyed)
    return {
        **running,
        **{f"{name}:lock": Expires(TOKEN) for name in RUNNING},
        "abandoned": job("active"),
        "abandoned-step": job("active", _wf="w", _wfNode=1, stalledCount=1),
        "abandoned-cancelled": job("active", cancelledAt=NOW),
        "active": [*reversed(RUNNING), "abandoned", "abandoned-step", "abandoned-cancelled"],
        "stalled": {"abandoned", "abandoned-step", "abandoned-cancelled"},
        "ready": job(),
        "blocked": job(**keyed),
        "late": job(expireAt=NOW - 1),
        "late-step": job(expireAt=NOW - 1, _wf="w", _wfNode=2),
        "wait": ["blocked", "late-step", "late", "ready"],
        "urgent": job(priority=3),
        "prioritized": Scores({"urgent": NOW - 3e13}),
        "due": job("delayed"),
        "due-late": job("delayed", expireAt=NOW - 1),
        "newer": job("delayed", _v=2),
        "delayed": Scores({"due": NOW - 3, "due-late": NOW - 2, "newer": NOW + 10_000, "gathering": NOW + 20_000}),
        "parked:newer": Scores({"newer": 2}),
        "parked-1": job(**keyed),
        "parked:key:org": Scores({"parked-1": NOW - 5}),
        "parked:keys": Scores({"org": NOW - 5}),
        "parked:count": "1",
        "conc:org": "1",
        "freed": job(concurrencyKey="other", concurrencyLimit=1),
        "parked:freed": ["freed"],
        "dead": job("failed", error="no", finishedOn=NOW - 10),
        "failed": Scores({"dead": NOW - 10}),
        "done": job("completed", finishedOn=NOW - 10, result="1"),
        "completed": Scores({"done": NOW - 10}),
        "over": job("cancelled", finishedOn=NOW - 10),
        "cancelled": Scores({"over": NOW - 10}),
        "gone-by": job("expired", finishedOn=NOW - 10),
        "expired": Scores({"gone-by": NOW - 10}),
        "marker": Scores({"0": 0}),
        "gathering": job("delayed", collectKey="c", data="[]"),
        "collect:c:items": ["1"],
        "collect:c:meta": {"count": "1", "firstAt": str(NOW - 9), "lastAt": str(NOW - 9)},
        "collect:c:job": Expires("gathering"),
        f"metrics:completed:{MINUTE}": Expires("7"),
        f"metrics:failed:{MINUTE}": Expires("7"),
    }


JOBS: Final = frozenset(name for name, value in world().items() if type(value) is dict and "state" in value)
KEYS: Final = sorted({*world()} - JOBS | {"events", "workflow:untold"})
PLACES: Final = ("wait", "prioritized", "active", "delayed", "parked:freed", "parked:key:org")
ENDS: Final = ("completed", "failed", "expired", "cancelled")
GONE: Final[Mapping[str, set[str]]] = {
    "prune": {"done"},
    "claim-discard": {"late", "due-late"},
    "collect": {"gathering"},
    "collect-full": {"gathering"},
}
NEW: Final = ("new-1", "new-2", "new-3", "new-4")
# Hints: what cannot be written here is left out.
HINTS: Final = {"events", "marker", "parked:count", "parked:newer", "conc:org"}


def end(kind: OutcomeKind, name: str, *, delay_ms: int = 0) -> Outcome:
    return ended(kind, b"1", job_id=name, delay_ms=delay_ms)


PLAIN: Final = Outcome(kind=COMPLETED, job_id="plain", token=TOKEN, payload=b"1", plain=True)
OUTCOMES: Final = (
    PLAIN,
    end(RETRYING, "retries", delay_ms=500),
    end(FAILED, "fails"),
    end(CANCELLED, "stops"),
    end(RELEASED, "released", delay_ms=500),
    end(DECLINED, "declined"),
    end(COMPLETED, "step"),
    end(COMPLETED, "keyed"),
)

OPERATIONS: Final[dict[str, Operation[Any]]] = {
    "settle-plain": exchange(PLAIN),
    "settle-all": exchange(*OUTCOMES),
    **{f"settle-{outcome.job_id}": exchange(outcome) for outcome in OUTCOMES[1:]},
    "claim-one": exchange(slots=1),
    "claim-all": exchange(slots=50, max_version=1),
    "claim-newer": exchange(slots=50, max_version=2),
    "claim-discard": exchange(slots=50, on_expire="discard"),
    "settle-and-claim": exchange(*OUTCOMES, slots=50),
    "recover": RecoverStalled(task="t", max_count=1),
    "extend": ExtendLeases(task="t", lease_ms=60_000, leases=[Lease(job_id=name, token=TOKEN) for name in RUNNING]),
    "report": Report(
        task="t",
        entries=[ReportEntry(kind=kind, job_id="plain", token=TOKEN, payload=b"1") for kind in ("progress", "log")],
    ),
    **{f"cancel-{name}": Cancel(task="t", job_id=name, reason="why") for name in ("ready", "urgent", "due", "newer")},
    **{f"cancel-{name}": Cancel(task="t", job_id=name, reason="") for name in ("blocked", "parked-1", "freed")},
    "request-cancel": Cancel(task="t", job_id="plain", reason=""),
    "cancel-steps": CancelSteps(task="t", job_ids=("late-step", "step", "never-made"), reason="why"),
    "collect": PushCollect(
        task="t", version=1, max_attempts=1, job_id="batch", key="c", item=b"2", delay_ms=500, max_items=9
    ),
    "collect-full": PushCollect(
        task="t", version=1, max_attempts=1, job_id="batch", key="c", item=b"2", delay_ms=500, max_size=2, max_items=9
    ),
    "enqueue": Enqueue(task="t", version=1, max_attempts=1, jobs=[NewJob(job_id=name, data=b"1") for name in NEW]),
    "enqueue-terms": Enqueue(
        task="t",
        version=1,
        max_attempts=1,
        jobs=[
            NewJob(job_id="new-1", data=b"1", ttl_ms=9_000_000),
            NewJob(job_id="new-2", data=b"1", delay_ms=5),
            NewJob(job_id="new-3", data=b"1", delay_ms=5),
            NewJob(job_id="new-4", data=b"1", priority=5),
        ],
    ),
    "enqueue-steps": EnqueueSteps(
        task="t",
        version=1,
        steps=[StepJob(workflow_id="w", step=9, task="t", job_id=name, version=1, data=b"1") for name in NEW],
    ),
    "dispatch": DispatchOccurrences(
        task="t",
        schedule="nightly",
        version=1,
        max_attempts=1,
        claimed_until_ms=LATER,
        overlap=True,
        last_job_id="",
        jobs=[Occurrence(job_id=name, data=b"1", delay_ms=n % 2, ttl_ms=0) for n, name in enumerate(NEW)],
    ),
    "retry": RetryDead(task="t", job_ids=("dead",)),
    "retry-oldest": RetryDead(task="t", limit=5),
    "prune": Prune(task="t", state=JobState.COMPLETED, max_age_ms=0, max_items=-1, spared_ms=0, limit=10),
}


def again(operation: Operation[Any]) -> Operation[Any]:
    return operation.again() if isinstance(operation, Exchange) else operation


def work_off(task: RawTask) -> None:
    """What workers do until nothing is left to be done, when those that ran are gone."""
    task.client.delete(*(f"{BASE}{job_id}:lock" for job_id in JOBS))
    for now_ms in range(LATER, LATER + 10):
        task.run(RecoverStalled(task="t", max_count=100), now_ms=now_ms)
        claims = task.run(exchange(slots=100, max_version=NEWEST, token=f"tok-{now_ms}"), now_ms=now_ms).claims
        outcomes = [
            Outcome(kind=COMPLETED, job_id=claim.job_id, token=claim.token, payload=b"1", plain=claim.plain)
            for claim in claims
        ]
        task.run(exchange(*outcomes), now_ms=now_ms)


def ids_of(dump: Dump, names: Sequence[str]) -> set[str]:
    places: list[Any] = [dump.get(name, []) for name in names]
    return {job_id for place in places for job_id in place}


def faults_of(task: RawTask, name: str, damaged: str) -> list[str]:
    """What goes wrong when one operation meets one damaged key, and is sent again when that is mended."""
    task.seed(world())
    damage = Damage(task, damaged)
    faults: list[str] = []
    try:
        task.run(OPERATIONS[name])
    except redis.ResponseError as error:
        if f"{BASE}{damaged}" not in str(error) or damaged in HINTS:
            faults.append(str(error))
    damage.mend()
    # A mended counter may not know of what happened meanwhile.
    faults += [fault for fault in leaks(task.dump()) if not fault.startswith(damaged)]
    task.run(again(OPERATIONS[name]))
    return faults + lost(task, name)


def lost(task: RawTask, name: str) -> list[str]:
    """Jobs that have not ended when everything is worked off."""
    work_off(task)
    dump = task.dump()
    found, gone = ids_of(dump, ENDS), GONE.get(name, set[str]())
    hanging = [f"{job_id} hangs" for job_id in ids_of(dump, PLACES)]
    if name.startswith(("enqueue", "dispatch")):
        hanging += [f"{job_id} is not there" for job_id in NEW if job_id not in found]
    return hanging + [f"{job_id} is lost" for job_id in sorted(JOBS - gone - found)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_key_of_another_type_loses_no_job(redis_raw: redis.Redis, name: str) -> None:
    task = RawTask(redis_raw)
    faults: list[str] = []
    for damaged in KEYS:
        faults += [f"{damaged}: {fault}" for fault in faults_of(task, name, damaged)]
        task.client.flushall()
    assert faults == []


NO_NUMBERS: Final = ("NaN", "nan", "", "abc", "-1", "-0", "1.5", "0x10", "1e400", "-1e400", "9" * 30)
NUMBERS: Final = (
    "attempt",
    "stalledCount",
    "priority",
    "ts",
    "expireAt",
    "concurrencyLimit",
    "processedOn",
    "py:before",
    "py:try",
    "delay",
    "cancelledAt",
    "finishedOn",
)


@pytest.mark.parametrize("field", NUMBERS)
def test_a_field_that_is_no_number_stops_nothing_and_loses_no_job(redis_raw: redis.Redis, field: str) -> None:
    task = RawTask(redis_raw)
    faults: list[str] = []
    for value in NO_NUMBERS:
        task.seed(world())
        for job_id in JOBS:
            task.client.hset(BASE + job_id, field, value)
        for operation in ("recover", "settle-and-claim", "retry", "cancel-due"):
            task.run(OPERATIONS[operation])
        faults += [f"{value!r}: {fault}" for fault in [*leaks(task.dump()), *lost(task, "settle-and-claim")]]
        task.client.flushall()
    assert faults == []


@pytest.mark.parametrize(
    "key", ["conc:org", "parked:count", f"metrics:completed:{MINUTE}", "collect:c:job", "parked:counted"]
)
def test_a_counter_that_is_no_number_stops_nothing_and_loses_no_job(redis_raw: redis.Redis, key: str) -> None:
    task = RawTask(redis_raw)
    faults: list[str] = []
    for value in NO_NUMBERS:
        task.seed(world())
        task.client.set(BASE + key, value)
        for operation in ("settle-and-claim", "recover", "collect"):
            task.run(OPERATIONS[operation])
        faults += [f"{value!r}: {fault}" for fault in lost(task, "collect")]
        task.client.flushall()
    assert faults == []


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_an_attempt_that_is_no_count_is_told_as_0_and_followed_by_1(redis_raw: redis.Redis, value: str) -> None:
    task = RawTask(redis_raw)
    task.seed({"j1": job(attempt=value), "wait": ["j1"]})
    (claim,) = task.run(exchange(slots=1, token=TOKEN)).claims
    assert claim.attempt == 0
    task.run(exchange(ended(RETRYING, b"no", delay_ms=5)))
    assert task.read("j1")["attempt"] == "1"
    assert [dict(zip(flat[::2], flat[1::2], strict=True))["attempt"] for flat in task.read("events")] == ["0", "1"]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_an_attempt_that_is_no_count_fails_as_the_0th(redis_raw: redis.Redis, value: str) -> None:
    task = RawTask(redis_raw)
    task.seed({"j1": job("active", attempt=value), "j1:lock": TOKEN, "active": ["j1"]})
    task.run(exchange(ended(FAILED, b"no")))
    assert task.read("events") == Events([event("failed", "j1", attempt=0, error="no")])
    assert task.read("j1")["attempt"] == value


def test_a_place_for_a_blocked_job_that_is_no_such_place_is_named(redis_raw: redis.Redis) -> None:
    task = RawTask(redis_raw)
    blocked = job(concurrencyKey="org", concurrencyLimit=1)
    task.seed({"j1": blocked, "wait": ["j1"], "conc:org": "1", "parked:key:org": "damaged"})
    with pytest.raises(redis.ResponseError, match=r"WRONGTYPE.*parked:key:org"):
        task.run(exchange(slots=1))
    task.seed({"j2": job(), "j3": job()})
    task.client.lpush(f"{BASE}wait", "j2", "j3")
    assert [claim.job_id for claim in task.run(exchange(slots=2)).claims] == ["j2", "j3"]
    task.client.delete(f"{BASE}parked:key:org", f"{BASE}conc:org")
    assert [claim.job_id for claim in task.run(exchange(slots=2)).claims] == ["j1"]


def test_claims_that_cannot_be_listed_as_active_have_not_been_made(redis_raw: redis.Redis) -> None:
    task = RawTask(redis_raw)
    keyed = job(concurrencyKey="org", concurrencyLimit=5, expireAt=NOW + 5000)
    seed: Dump = {
        "a": job(),
        "b": keyed,
        "c": job(priority=2),
        "d": job(processedOn=NOW - 5, attempt=2),
        "wait": ["d", "b", "a"],
        "prioritized": Scores({"c": NOW - 1000 - 2e13}),
        "active": "damaged",
    }
    task.seed(seed)
    with pytest.raises(redis.ResponseError, match=r"WRONGTYPE taskora:\{t\}:active is a string and must be a list"):
        task.run(exchange(slots=9))
    assert task.dump(without=["events"]) == seed
