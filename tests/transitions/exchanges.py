"""Requests and seeds of the tests of `exchange`."""

from typing import Final

from taskora.wire import NEWEST, NO_PACE, Claim, Exchange, OnExpire, Outcome, OutcomeKind, Pace, Settlement
from tests.transitions.keyspace import NOW, Dump, Expires, job

TOKEN: Final = "tok-1"
NEXT: Final = "tok-2"

COMPLETED, RETRYING, FAILED = OutcomeKind.COMPLETED, OutcomeKind.RETRYING, OutcomeKind.FAILED
CANCELLED, RELEASED, DECLINED = OutcomeKind.CANCELLED, OutcomeKind.RELEASED, OutcomeKind.DECLINED

LOST: Final = (Settlement.LOST,)
SETTLED: Final = (Settlement.SETTLED,)
CANCEL_REQUESTED: Final = (Settlement.CANCEL_REQUESTED,)
REPEATED: Final = (Settlement.REPEATED,)


def exchange(
    *outcomes: Outcome,
    slots: int = 0,
    token: str = NEXT,
    lease_ms: int = 30_000,
    on_expire: OnExpire = "fail",
    resend: bool = False,
    max_version: int = NEWEST,
    pace: Pace = NO_PACE,
    key_limit: int = 0,
    ttl_ms: int = 0,
) -> Exchange:
    return Exchange(
        task="t",
        token=token,
        lease_ms=lease_ms,
        slots=slots,
        outcomes=outcomes,
        on_expire=on_expire,
        resend=resend,
        max_version=max_version,
        pace=pace,
        key_limit=key_limit,
        ttl_ms=ttl_ms,
    )


def ended(
    kind: OutcomeKind, payload: bytes = b"", *, job_id: str = "j1", token: str = TOKEN, delay_ms: int = 0
) -> Outcome:
    return Outcome(kind=kind, job_id=job_id, token=token, payload=payload, delay_ms=delay_ms)


def claimed(*, token: str = TOKEN, **fields: str | int) -> Dump:
    """One job, `j1`, that a worker runs."""
    return {
        "j1": job("active", processedOn=NOW - 100, **fields),
        "j1:lock": Expires(token),
        "active": ["j1"],
    }


def claim(job_id: str, *, token: str = NEXT, timestamp_ms: int = NOW - 1000) -> Claim:
    return Claim(job_id=job_id, token=token, data=b'{"n":1}', version=1, attempt=1, timestamp_ms=timestamp_ms)
