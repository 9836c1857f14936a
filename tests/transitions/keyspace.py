"""Raw keyspaces for tests: seed keys, run one operation, dump every key and compare.

Key names are relative to one task: `wait`, `j1`, `j1:lock`. A value's type says what is stored: `str` a string, `list`
a list (left to right), `set` a set, `dict` a hash, `Scores` a sorted set, `Events` a stream; `Expires` around a value
says that the key has a lifetime.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import redis

from taskora.wire import Operation
from taskora.wire._commands import command_for
from taskora.wire._keys import Keyspace

R = TypeVar("R")

NOW: Final = 1795299651772
MINUTE: Final = 1795299600000
TASK: Final = "t"
BASE: Final = "taskora:{t}:"


class Scores(dict[str, float]):
    """A sorted set: score by member."""


class Events(list[list[str]]):
    """A stream: the flat fields of each entry, oldest first, without their ids."""


@dataclass(frozen=True)
class Expires:
    """A value whose key has a lifetime."""

    value: "Value"


Value: TypeAlias = str | list[str] | set[str] | dict[str, str] | Scores | Events | Expires
Dump: TypeAlias = dict[str, Value]


def event(name: str, job_id: str, **fields: object) -> list[str]:
    """The flat fields of one stream entry, in order."""
    flat = ["event", name, "jobId", job_id]
    for field, value in fields.items():
        flat += [field, str(value)]
    return flat


def job(state: str = "waiting", **fields: object) -> dict[str, str]:
    """The hash of a job as a producer writes it, one second ago, with some fields of its own."""
    base: dict[str, object] = {
        "ts": NOW - 1000,
        "_v": 1,
        "attempt": 1,
        "maxAttempts": 3,
        "state": state,
        "priority": 0,
        "data": '{"n":1}',
    }
    return {name: str(value) for name, value in (base | fields).items()}


class RawTask:
    """The keys of one task on a real server."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.orphans: set[str] = set()

    def seed(self, keys: Mapping[str, Value]) -> None:
        """Writes keys as they are; names that start with `taskora:` are whole."""
        for name, value in keys.items():
            self._write(name if name.startswith("taskora:") else BASE + name, value)

    def _write(self, key: str, value: Value) -> None:
        client: Any = self.client
        if isinstance(value, Expires):
            self._write(key, value.value)
            client.pexpire(key, 60_000)
        elif isinstance(value, Scores):
            client.zadd(key, dict(value))
        elif isinstance(value, Events):
            for flat in value:
                client.execute_command("XADD", key, "*", *flat)
        elif isinstance(value, dict):
            client.hset(key, mapping=value)
        elif isinstance(value, list):
            client.rpush(key, *value)
        elif isinstance(value, set):
            client.sadd(key, *value)
        else:
            client.set(key, value)

    def run(self, operation: Operation[R], *, now_ms: int | None = NOW) -> R:
        """Carries out one operation on the server, at a fixed instant unless told otherwise."""
        command = command_for(operation, Keyspace(), now_ms)
        call = command.call
        reply: Any = self.client.eval(call.script.text, len(call.keys), *call.keys, *call.args)
        return command.decode(reply)

    def dump(self, *, without: Sequence[str] = ()) -> Dump:
        """Every key of the server. Keys of the task have relative names, others are told in full."""
        keys = self._keys()
        facts = self._ask([(word, key) for key in keys for word in ("TYPE", "PTTL")])
        kinds = [kind.decode() for kind in facts[::2]]
        values = self._ask([_READERS[kind](key) for kind, key in zip(kinds, keys, strict=True) if kind in _READERS])
        if keys != self._keys():
            return self.dump(without=without)  # a key ended its life between two questions
        dump: Dump = {}
        for key, kind, lifetime_ms, raw in zip(keys, kinds, facts[1::2], values, strict=True):
            value = _DECODERS[kind](raw)
            dump[key.removeprefix(BASE)] = value if lifetime_ms < 0 else Expires(value)
        return {name: value for name, value in dump.items() if name not in without}

    def _keys(self) -> list[str]:
        found: Any = self.client.keys("*")
        return sorted(key.decode() for key in found)

    def read(self, name: str) -> Any:
        """The value of one key, or None."""
        return self.dump().get(name)

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        pipeline: Any = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute()
        return replies

    def lifetime_ms(self, name: str) -> int:
        """What is left of a key's lifetime; -1 when it has none, -2 when there is no such key."""
        reply: Any = self.client.pttl(BASE + name)
        return int(reply)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _texts(raw: Iterable[bytes]) -> list[str]:
    return [_text(item) for item in raw]


_READERS: Final[dict[str, Callable[[str], tuple[Any, ...]]]] = {
    "hash": lambda key: ("HGETALL", key),
    "list": lambda key: ("LRANGE", key, 0, -1),
    "set": lambda key: ("SMEMBERS", key),
    "zset": lambda key: ("EVAL", "return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')", 1, key),
    "stream": lambda key: ("EVAL", "return redis.call('XRANGE', KEYS[1], '-', '+')", 1, key),
    "string": lambda key: ("GET", key),
}
_DECODERS: Final[dict[str, Callable[[Any], Value]]] = {
    "hash": lambda raw: {_text(field): _text(value) for field, value in raw.items()},
    "list": _texts,
    "set": lambda raw: set(_texts(raw)),
    "zset": lambda raw: Scores((_text(m), float(score)) for m, score in zip(raw[::2], raw[1::2], strict=True)),
    "stream": lambda raw: Events(_texts(flat) for _, flat in raw),
    "string": _text,
}

QUEUES: Final = ("wait", "prioritized", "active", "delayed", "parked:freed")
PARKED_FOR: Final = "parked:key:"
ENDS: Final = ("completed", "failed", "expired", "cancelled")
PERMANENT: Final = {
    *QUEUES,
    *ENDS,
    "parked:keys",
    "parked:newer",
    "parked:count",
    "stalled",
    "marker",
    "events",
    "taskora:meta",
    "taskora:migration:lock",
    "taskora:schedules",
    "taskora:schedules:next",
    "taskora:workflows:{index}:running",
    "taskora:workflows:{index}:ended",
    "taskora:workflows:{index}:tries",
    "workflow:untold",
}
WORKFLOW: Final = "taskora:wf:"


def leaks(dump: Dump) -> list[str]:
    """What nobody will ever delete, and jobs that stand in two places.

    A job's record lives as long as its id stands in a queue or among the ended, its log as long as its record.
    """
    parking = [name for name in dump if name.startswith(PARKED_FOR)]
    places = Counter(name for place in (*QUEUES, *parking, *ENDS) for name in _ids(dump.get(place, [])))
    found = [f"{job_id} stands in two places" for job_id, times in places.items() if times > 1]
    for name, value in dump.items():
        if name in PERMANENT or name in places or name in parking or isinstance(value, Expires):
            continue
        if name.startswith(WORKFLOW) and isinstance(value, dict) and value.get("state") == "running":
            continue
        owner, _, suffix = name.partition(":")
        if owner in {"dedup", "conc"} or name.endswith((":items", ":meta")) or (suffix == "logs" and owner in dump):
            continue
        found.append(f"{name} has no lifetime and no owner")
    return found + _miscounts(dump, parking)


def _miscounts(dump: Dump, parking: Sequence[str]) -> list[str]:
    found = [f"{name} counts nothing" for name, value in dump.items() if _is_idle_counter(name, value)]
    parked = sum(len(_ids(dump[name])) for name in parking)
    if parking and dump.get("parked:count") != str(parked):
        found.append(f"parked:count is not {parked}")
    if {name.removeprefix(PARKED_FOR) for name in parking} - {*_ids(dump.get("parked:keys", []))}:
        found.append("parked:keys does not name every key")
    if {*_ids(dump.get("parked:newer", []))} - {*_ids(dump.get("delayed", []))}:
        found.append("parked:newer names jobs that are not delayed")
    return found


def _ids(value: Value) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | Scores) else []


def _is_idle_counter(name: str, value: Value) -> bool:
    return name.startswith("conc:") and isinstance(value, str) and int(value) <= 0
