"""A real server, seen whole after every step, whose keys live by a clock that tests move.

A server counts lifetimes in real time. The look that follows a step finds what the step has set, replaces it by a
lifetime that cannot end, and notes the instant of the virtual clock; the key is deleted when that comes. What was set
is known to within the real time between the step and the look, so the image of the other side settles it: an end within
those bounds is the same end. Lifetimes must be much longer than a step takes; a text whose lifetime was shorter is put
back.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

import redis

from taskora.wire import Keyspace
from tests.properties.image import PARKED_FOR, Image, Stored

_MESSAGE_SECONDS: Final = 10.0  # to pass from one connection to the other, at most
_ENDLESS_MS: Final = 10**13
_COARSENESS_MS: Final = 5  # of the clocks compared

# Replies with {name, type, lifetime left, value} for every key but the streams, whose news come apart.
_LOOK: Final = """
local READ = {
  hash = {'HGETALL'}, set = {'SMEMBERS'}, string = {'GET'}, list = {'LRANGE', '0', '-1'},
  zset = {'ZRANGE', '0', '-1', 'WITHSCORES'},
}
local rows = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local read = READ[kind]
  if read then
    local left = redis.call('PTTL', key)
    if left >= 0 and left < tonumber(ARGV[1]) / 2 then
      redis.call('PEXPIRE', key, ARGV[1])
    end
    rows[#rows + 1] = { key, kind, left, redis.call(read[1], key, unpack(read, 2)) }
  end
end
local news = {}
for i = 2, #ARGV, 2 do
  news[#news + 1] = redis.call('XRANGE', ARGV[i], '(' .. ARGV[i + 1], '+')
end
return { rows, news }
"""


class ServerSide:
    """Looks at a server, and does to it what happens to servers."""

    def __init__(self, client: redis.Redis, tasks: Iterable[str]) -> None:
        self._client: Any = client
        self._ends: dict[str, float] = {}
        self._keyspace = Keyspace()
        self._look: Any = client.register_script(_LOOK)
        self._began = time.monotonic()
        listening: Any = client
        self._messages: Any = listening.pubsub()
        for task in tasks:
            self._messages.subscribe(self._keyspace.task(task).cancel_channel)
            assert self._messages.get_message(timeout=_MESSAGE_SECONDS)["type"] == "subscribe"

    def close(self) -> None:
        """Stops listening."""
        self._messages.close()

    def hear(self, count: int) -> list[tuple[str, str]]:
        """The next cancellations that were published, by channel; waits for so many, and takes what more is there."""
        found = [self._messages.get_message(timeout=_MESSAGE_SECONDS) for _ in range(count)]
        found.append(self._messages.get_message(timeout=0))
        return [(message["channel"].decode(), message["data"].decode()) for message in found if message]

    def step_begins(self) -> None:
        """To be called before anything is sent that may set a lifetime."""
        self._began = time.monotonic()

    def look(self, now_ms: int, expected: Image, last: dict[str, str]) -> tuple[Image, list[list[Any]]]:
        """Every key, and the events of each task after its last one, as pairs of position and flat fields."""
        streams = [part for task, position in last.items() for part in (self._events_key(task), position)]
        rows, news = self._look(args=[_ENDLESS_MS, *streams])
        took_ms = (time.monotonic() - self._began) * 1000 + _COARSENESS_MS
        found: Image = {}
        for raw_name, kind, left_ms, raw in rows:
            name = raw_name.decode()
            found[name] = Stored(_value(name, kind, raw), self._end(name, left_ms, now_ms, took_ms, expected))
        self._ends = {name: end for name, end in self._ends.items() if name in found}
        self._put_back(found, expected, now_ms + took_ms)
        return found, news

    def _put_back(self, found: Image, expected: Image, until_ms: float) -> None:
        for name, stored in expected.items():
            end_ms = stored.ends_at_ms
            if name not in found and end_ms is not None and end_ms <= until_ms and isinstance(stored.value, bytes):
                self._client.set(name, stored.value, px=_ENDLESS_MS)
                found[name], self._ends[name] = stored, end_ms

    def _end(self, name: str, left_ms: int, now_ms: int, took_ms: float, expected: Image) -> float | None:
        if left_ms < 0:
            self._ends.pop(name, None)
            return None
        if left_ms < _ENDLESS_MS / 2:  # set since the last look
            end_ms: float = now_ms + left_ms
            other = expected[name].ends_at_ms if name in expected else None
            same = other is not None and -_COARSENESS_MS <= other - end_ms <= took_ms
            self._ends[name] = other if other is not None and same else end_ms
        return self._ends[name]

    def pass_time(self, now_ms: int) -> None:
        """Deletes what has ended by now."""
        ended = [name for name, end_ms in self._ends.items() if end_ms <= now_ms]
        if ended:
            self._client.delete(*ended)

    def lose_lease(self, task: str, job_id: str) -> None:
        """Ends a lease now, as if its worker had died long ago."""
        self._client.delete(self._keyspace.task(task).lock_key(job_id))

    def change_slots(self, task: str, key: str, by: int) -> None:
        """Takes or gives back slots of a concurrency key as a program does that knows nothing of parked jobs."""
        counter = f"{self._keyspace.task(task).prefix}conc:{key}"
        if self._client.incrby(counter, by) <= 0:
            self._client.delete(counter)

    def take_marker(self, task: str) -> None:
        """Consumes the wake-up token, as a worker does that waited for it."""
        self._client.zpopmin(self._keyspace.task(task).marker_key)

    def lock_for_migration(self, text: bytes) -> None:
        """Says that somebody rewrites the keyspace, or no longer."""
        if text:
            self._client.set(self._keyspace.migration_lock_key, text)
        else:
            self._client.delete(self._keyspace.migration_lock_key)

    def _events_key(self, task: str) -> str:
        return self._keyspace.task(task).events_key


def _pairs(raw: list[Any]) -> list[tuple[str, Any]]:
    return [(name.decode(), value) for name, value in zip(raw[::2], raw[1::2], strict=True)]


def _value(name: str, kind: bytes, raw: Any) -> Any:
    if kind == b"hash":
        return dict(_pairs(raw))
    if kind == b"zset" and PARKED_FOR in name:  # two storages number these places differently
        return [member for member, _ in _pairs(raw)]
    if kind == b"zset":
        return [(member, float(score)) for member, score in _pairs(raw)]
    if kind == b"set":
        return frozenset(member.decode() for member in raw)
    if kind == b"list" and not name.endswith((":logs", ":items")):
        return [job_id.decode() for job_id in raw]
    return raw
