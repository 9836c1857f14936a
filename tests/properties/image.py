"""What a keyspace holds, in one form for all storages: every key by name, as a server stores it.

Two storages that have the same image mean the same, to the byte. Left out is only what the two cannot share: the
positions of events, and numbers that are spelled differently though they sort the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from taskora.contracts import JobState
from taskora.wire import FINAL_STATES, Keyspace

QUEUES: Final = ("wait", "prioritized", "parked:freed", "active", "delayed")
PARKED_FOR: Final = "parked:key:"
STRUCTURES: Final = {*QUEUES, *FINAL_STATES, "stalled", "marker", "events"}
PLACES: Final[Mapping[JobState, set[str]]] = {
    JobState.WAITING: {"wait", "prioritized", "parked:freed", "parked"},
    JobState.ACTIVE: {"active"},
    JobState.DELAYED: {"delayed"},
    JobState.RETRYING: {"delayed"},
    **{state: {state.value} for state in FINAL_STATES},
}
Record: TypeAlias = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Stored:
    """The value of one key, and the instant at which its lifetime ends, if it has one.

    Values: text and counters bytes; lists left to right; sets frozen; hashes as dicts; sorted sets as pairs of member
    and score, lowest first.
    """

    value: Any
    ends_at_ms: float | None = None


Image: TypeAlias = dict[str, Stored]


def differences(memory: Image, server: Image) -> str:
    """What is stored differently, one line for each key; nothing when both mean the same."""
    names = sorted(name for name in memory.keys() | server.keys() if memory.get(name) != server.get(name))
    return "\n".join(f"{name}: memory {_shown(memory.get(name))}, server {_shown(server.get(name))}" for name in names)


def _shown(stored: Stored | None) -> str:
    if stored is None:
        return "has none"
    end = "" if stored.ends_at_ms is None else f" until {stored.ends_at_ms:.0f}"
    return f"{stored.value!r}{end}"


class TaskView:
    """The part of an image that belongs to one task, by meaning. Names are relative to the task."""

    def __init__(self, image: Image, task: str) -> None:
        prefix = Keyspace().task(task).prefix
        self.task = task
        self.keys: dict[str, Stored] = {
            name.removeprefix(prefix): stored for name, stored in image.items() if name.startswith(prefix)
        }
        self.records: dict[str, Record] = {
            name: stored.value for name, stored in self.keys.items() if ":" not in name and name not in STRUCTURES
        }
        self.places: dict[str, list[str]] = {name: self.ids(name) for name in (*QUEUES, *FINAL_STATES)}
        self.places["parked"] = [job_id for key in self.named(PARKED_FOR) for job_id in self.ids(PARKED_FOR + key)]

    def named(self, start: str) -> list[str]:
        """How the names of the keys that start so go on."""
        return [name.removeprefix(start) for name in self.keys if name.startswith(start)]

    def value(self, name: str) -> Any:
        """What a key holds, or None."""
        stored = self.keys.get(name)
        return None if stored is None else stored.value

    def ids(self, name: str) -> list[str]:
        """The members of a queue, in the order in which it stores them."""
        members: Sequence[Any] = self.value(name) or ()
        return [member if isinstance(member, str) else member[0] for member in members]

    def where(self, *places: str) -> list[str]:
        """The ids in some places."""
        return [job_id for place in places for job_id in self.places[place]]

    def state(self, job_id: str) -> JobState:
        """Where a job says that it stands."""
        return JobState(self.records[job_id]["state"].decode())

    def number(self, job_id: str, field: str) -> int:
        """An integer field; 0 when it is absent."""
        return int(self.records[job_id].get(field, b"0"))

    def text(self, job_id: str, field: str) -> str:
        """A text field; nothing when it is absent."""
        return self.records[job_id].get(field, b"").decode()

    def leases(self) -> dict[str, str]:
        """The token that fences each job now."""
        named = {name: self.value(name).decode() for name in self.keys if name.endswith(":lock")}
        return {name.removesuffix(":lock"): token for name, token in named.items()}

    def marker(self) -> int | None:
        """When a waiting worker would look for work: 0 for now, None for never."""
        pairs = self.value("marker")
        return int(pairs[0][1]) if pairs else None
