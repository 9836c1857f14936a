"""Jobs as other programs of wire version 6 write them, by raw commands, carried on by us."""

import json
from typing import Any, Final

import pytest

from taskora.contracts import JobState
from taskora.wire import (
    Cancel,
    CancelReply,
    Claim,
    Exchange,
    Exchanged,
    ExtendLeases,
    JsonSerializer,
    Lease,
    LeaseState,
    ListJobs,
    Outcome,
    OutcomeKind,
    ReadJob,
    RecoverStalled,
    RetryDead,
    Settlement,
)
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask, Scores

ID: Final = "e0f31af9-bd46-4136-92b6-403bf09d7850"
DATA: Final = '{"to":"a@b.c"}'
READY: Final[Dump] = {"marker": Scores({"0": 0})}
MINIMAL: Final = {"data": DATA, "_v": "1"}


def theirs(**fields: str) -> dict[str, str]:
    base = {
        "ts": str(NOW - 1000),
        "_v": "1",
        "attempt": "1",
        "maxAttempts": "3",
        "state": "waiting",
        "priority": "0",
        "data": DATA,
    }
    return {**base, **fields}


def claim_one(task: RawTask, *, now_ms: int = NOW) -> Claim | None:
    reply = task.run(Exchange(task="t", token="ours", lease_ms=30_000, slots=1), now_ms=now_ms)
    return reply.claims[0] if reply.claims else None


def settle(
    task: RawTask, kind: OutcomeKind, payload: bytes = b"null", *, delay_ms: int = 0, token: str = "ours"
) -> Exchanged:
    outcome = Outcome(kind=kind, job_id=ID, token=token, payload=payload, delay_ms=delay_ms)
    return task.run(Exchange(task="t", token="next", lease_ms=30_000, slots=0, outcomes=[outcome]))


def test_the_smallest_job_is_claimed_and_completed(task: RawTask) -> None:
    task.seed({ID: MINIMAL, "wait": [ID], **READY})
    assert claim_one(task) == Claim(job_id=ID, token="ours", data=DATA.encode(), version=1, attempt=0, timestamp_ms=0)
    assert settle(task, OutcomeKind.COMPLETED, b"1").settlements == (Settlement.SETTLED,)
    assert task.read("completed") == Scores({ID: NOW})


def test_the_smallest_job_is_retried_as_its_first_attempt(task: RawTask) -> None:
    task.seed({ID: MINIMAL, "wait": [ID], **READY})
    claim_one(task)
    settle(task, OutcomeKind.RETRYING, b"boom", delay_ms=5)
    assert task.read(ID)["attempt"] == "1"


@pytest.mark.parametrize("kind", OutcomeKind)
def test_every_outcome_settles_the_smallest_job(task: RawTask, kind: OutcomeKind) -> None:
    task.seed({ID: MINIMAL, "wait": [ID], **READY})
    claim_one(task)
    assert settle(task, kind, delay_ms=5).settlements == (Settlement.SETTLED,)


def test_a_prioritized_job_is_claimed(task: RawTask) -> None:
    score = NOW - 1000 - 5e13
    task.seed({ID: theirs(priority="5"), "prioritized": Scores({ID: score}), **READY})
    assert claim_one(task) is not None


def test_a_delayed_job_is_claimed_when_it_is_due(task: RawTask) -> None:
    due = NOW + 60_000
    task.seed(
        {
            ID: theirs(state="delayed", delay="60000"),
            "delayed": Scores({ID: due}),
            "marker": Scores({"0": due}),
        }
    )
    assert claim_one(task) is None
    assert claim_one(task, now_ms=due) is not None


def test_a_retrying_job_is_claimed_with_the_attempt_they_counted(task: RawTask) -> None:
    task.seed({ID: theirs(state="retrying", attempt="2", error="boom"), "delayed": Scores({ID: NOW})})
    claim = claim_one(task)
    assert claim is not None
    assert claim.attempt == 2


def test_a_workflow_job_with_every_option_keeps_what_we_do_not_know(task: RawTask) -> None:
    fields = {
        "expireAt": str(NOW + 5),
        "concurrencyKey": "org:a",
        "concurrencyLimit": "2",
        "dedupKey": "taskora:{t}:dedup:user:1",
        "_wf": "5f1c",
        "_wfNode": "0",
        "x-trace": "00-ab",
    }
    task.seed({ID: theirs(**fields), "wait": [ID], "dedup:user:1": ID, **READY})
    claim_one(task)
    assert task.read("conc:org:a") == "1"
    settle(task, OutcomeKind.COMPLETED, b"1")
    dump = task.dump()
    record: Any = dump[ID]
    kept = ("concurrencyKey", "concurrencyLimit", "dedupKey", "_wf", "_wfNode", "x-trace")
    assert {name: record[name] for name in kept} == {name: fields[name] for name in kept}
    assert "conc:org:a" not in dump
    assert "dedup:user:1" not in dump


def test_a_slot_that_their_job_holds_counts_for_ours(task: RawTask) -> None:
    key = {"concurrencyKey": "org:a", "concurrencyLimit": "1"}
    task.seed({ID: theirs(**key), "wait": [ID], "conc:org:a": "1", **READY})
    assert claim_one(task) is None
    task.client.delete("taskora:{t}:conc:org:a")
    assert claim_one(task) is not None


def test_a_job_past_its_time_to_live_expires(task: RawTask) -> None:
    task.seed({ID: theirs(expireAt=str(NOW)), "wait": [ID], **READY})
    assert claim_one(task) is None
    assert task.read("expired") == Scores({ID: NOW})


def test_an_empty_payload_is_nothing(task: RawTask) -> None:
    task.seed({ID: theirs(data=""), "wait": [ID], **READY})
    claim = claim_one(task)
    assert claim is not None
    assert claim.data == b""
    assert JsonSerializer().loads(claim.data) is None


def test_an_empty_result_is_read(task: RawTask) -> None:
    task.seed({ID: theirs(state="completed", result=""), "completed": Scores({ID: NOW})})
    record = task.run(ReadJob(task="t", job_id=ID))
    assert record is not None
    assert record.status.result == b""


THEIR_CLAIM: Final[Dump] = {
    ID: theirs(state="active", processedOn=str(NOW - 500)),
    f"{ID}:lock": Expires("d5a5ee9b-1111-4222-8333-444444444444"),
    "active": [ID],
}


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_job_that_they_run_is_not_ours_to_settle(task: RawTask, kind: OutcomeKind) -> None:
    task.seed(THEIR_CLAIM)
    assert settle(task, kind).settlements == (Settlement.LOST,)
    assert task.dump() == THEIR_CLAIM


def test_a_job_that_they_run_is_not_ours_to_extend(task: RawTask) -> None:
    task.seed(THEIR_CLAIM)
    request = ExtendLeases(task="t", lease_ms=60_000, leases=[Lease(job_id=ID, token="ours")])
    assert task.run(request) == (LeaseState.LOST,)


def test_a_token_of_theirs_settles_their_job(task: RawTask) -> None:
    task.seed(THEIR_CLAIM)
    token = "d5a5ee9b-1111-4222-8333-444444444444"
    assert settle(task, OutcomeKind.COMPLETED, b"1", token=token).settlements == (Settlement.SETTLED,)


def test_a_job_that_they_run_is_cancelled_by_their_worker(task: RawTask) -> None:
    task.seed(THEIR_CLAIM)
    assert task.run(Cancel(task="t", job_id=ID, reason="by hand")) is CancelReply.REQUESTED
    assert task.read(ID) == {**theirs(state="active"), **_flag("by hand"), "processedOn": str(NOW - 500)}


def test_a_job_that_they_abandoned_is_recovered(task: RawTask) -> None:
    task.seed({ID: THEIR_CLAIM[ID], "active": [ID]})
    sweep = RecoverStalled(task="t", max_count=1)
    assert task.run(sweep).recovered == ()
    assert task.run(sweep).recovered == (ID,)
    assert claim_one(task) is not None


def test_a_job_that_they_finished_is_left_alone_by_our_sweep(task: RawTask) -> None:
    finished: Dump = {ID: theirs(state="completed", result="1"), "completed": Scores({ID: NOW})}
    task.seed({**finished, "stalled": {ID}})
    assert task.run(RecoverStalled(task="t", max_count=1)).recovered == ()
    assert task.dump() == finished


def test_a_job_that_failed_there_is_revived_although_its_time_to_live_is_over(task: RawTask) -> None:
    record = theirs(state="failed", error="boom", finishedOn=str(NOW - 5), expireAt=str(NOW - 9), attempt="3")
    task.seed({ID: record, "failed": Scores({ID: NOW - 5})})
    assert task.run(RetryDead(task="t", job_ids=(ID,))).job_ids == (ID,)
    claim = claim_one(task)
    assert claim is not None
    assert claim.attempt == 1


def test_their_log_entries_are_read(task: RawTask) -> None:
    entry = json.dumps({"level": "warn", "message": "slow", "meta": {"ms": 5}, "timestamp": NOW})
    task.seed({ID: theirs(state="active"), "active": [ID], f"{ID}:logs": [entry, "broken"]})
    record = task.run(ReadJob(task="t", job_id=ID))
    assert record is not None
    assert [log.message for log in record.logs] == ["slow", "broken"]


def test_their_jobs_are_listed(task: RawTask) -> None:
    task.seed({ID: theirs(), "wait": [ID], **READY})
    (record,) = task.run(ListJobs(task="t", state=JobState.WAITING)).records
    assert (record.job_id, record.data) == (ID, DATA.encode())


def _flag(reason: str) -> dict[str, str]:
    return {"cancelledAt": str(NOW), "cancelReason": reason}
