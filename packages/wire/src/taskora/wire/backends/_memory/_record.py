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
