"""Job hashes: the same fields, and the same bytes in them, as in Redis."""

from typing import TypeAlias

from taskora.contracts import JobState
from taskora.wire._job import integer_of, state_of
from taskora.wire._operations import StepLink

Record: TypeAlias = dict[str, bytes]
Value: TypeAlias = bytes | str | int


def encoded(value: Value) -> bytes:
    """A field value as it is stored."""
    return value if isinstance(value, bytes) else str(value).encode()


def write(record: Record, **fields: Value) -> None:
    """Sets fields."""
    for name, value in fields.items():
        record[name] = encoded(value)


def forget(record: Record, *names: str) -> None:
    """Removes fields."""
    for name in names:
        record.pop(name, None)


def number(record: Record, name: str) -> int:
    """An integer field; 0 when it is absent."""
    return integer_of(record.get(name)) or 0


def text(record: Record, name: str) -> str:
    """A text field; nothing when it is absent."""
    return record.get(name, b"").decode()


def state(record: Record) -> JobState | None:
    """Where the job stands."""
    return state_of(record.get("state"))


def link_of(record: Record) -> StepLink | None:
    """Of which workflow the job is a step."""
    step = integer_of(record.get("_wfNode"))
    return StepLink(workflow_id=text(record, "_wf"), step=step) if "_wf" in record and step is not None else None


def note_start(record: Record, now_ms: int) -> None:
    """A claim: the wait for the start is over. `py:before` is what that overwrites, in case no handler starts."""
    before = record.get("processedOn"), record.pop("expireAt", None)
    if any(before):
        record["py:before"] = b",".join(value or b"" for value in before)
    write(record, state="active", processedOn=now_ms)


def undo_start(record: Record) -> None:
    """No handler started: the job is as it was before the claim."""
    before = record.pop("py:before", b",").split(b",")
    forget(record, "processedOn")
    record.update({name: value for name, value in zip(("processedOn", "expireAt"), before, strict=False) if value})
