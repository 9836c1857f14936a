"""Meeting a keyspace for the first time."""

import json
from typing import Final, cast

from taskora.contracts import BackendError
from taskora.wire._flows import Flow, Pause, ask
from taskora.wire._operations import Handshake, ReadMigrationLock
from taskora.wire._version import OURS, WIRE_VERSION, check_meta

_POLL_SECONDS: Final = 0.5
_POLLS: Final = 60


def handshake() -> Flow[None]:
    """Waits for a migration to end, then writes or checks the meta record.

    Raises:
        WireVersionError: the keyspace cannot be shared with this version.
        BackendError: a migration has not ended within 30 seconds.
    """
    for _ in range(_POLLS):
        lock = yield from ask(ReadMigrationLock())
        if not concerns_us(lock):
            break
        yield Pause(_POLL_SECONDS)
    else:
        raise BackendError(
            f"the keyspace has been locked for a migration for {_POLLS * _POLL_SECONDS:.0f}s: "
            "wait for it to end, or delete the lock if its owner is gone"
        )
    check_meta((yield from ask(Handshake(ours=OURS))))


def concerns_us(lock: bytes) -> bool:
    """Whether a migration lock forbids us to write; one that moves to an older version than ours does not."""
    if not lock:
        return False
    try:
        body: object = json.loads(lock)
    except (ValueError, RecursionError):
        return True
    target = cast("dict[str, object]", body).get("targetWireVersion") if isinstance(body, dict) else None
    return isinstance(target, bool) or not isinstance(target, int) or target >= WIRE_VERSION
