"""Redis Cluster: which server answers for a key, and what to do when it has changed.

Without input or output: flows say what to send where, and a backend for asyncio or for threads sends it.
"""

import time
from binascii import crc_hqx
from bisect import bisect
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from taskora.contracts import BackendError
from taskora.contracts.records import record
from taskora.wire._call import Call
from taskora.wire._flows import Flow
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._address import Address
from taskora.wire.backends._requests import FAILURES, Request, is_transient, request_of

R = TypeVar("R")

_REDIRECTIONS: Final = 5
_SLOTS: Final = 16_384
# How long a server that did not answer is spared by requests that come again anyway.
SILENT_SECONDS: Final = 2.0
# There are others to ask.
_INFORMANT_TIMEOUT: Final = 2.0
_SCAN_COUNT: Final = 1000
# What servers say who do not know their own name: it is the one by which they were asked.
_NO_HOST: Final = ("", "?")


@record(kw_only=False, guarded=False)
class ScanRequest(Request):
    """Asks for the tasks of the whole keyspace, a page at a time."""

    pattern: str = ""
    cursor: str = "0"


@record(guarded=False)
class ToNode:
    """A request for one server; `asking` for a slot that is on its way there."""

    address: Address
    request: Request
    asking: bool = False


@record(kw_only=False)
class Learn:
    """Asks the driver to have the slots asked for, unless somebody has since this was `known`."""

    known: int


class SlotMap:
    """What is known of a cluster. Replaced as a whole, so that any thread may look."""

    def __init__(self, seeds: Sequence[Address], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seeds: Final = tuple(seeds)
        self._clock: Final = clock
        self._silent: Final[dict[Address, float]] = {}
        self._ranges: tuple[tuple[int, int, Address], ...] = ()
        self._turn = 0
        self.is_stale = True
        self.generation = 0

    @property
    def primaries(self) -> list[Address]:
        """The servers that hold slots, in an order that does not depend on who told."""
        return sorted({address for _, _, address in self._ranges})

    @property
    def informants(self) -> list[Address]:
        """Whom to ask about the cluster: those that are known, then those that the user named; the silent ones last."""
        return sorted(dict.fromkeys((*self.primaries, *self._seeds)), key=self.is_silent)

    def note(self, error: Exception, address: Address) -> None:
        """A request to a server failed; one that breaks connections or refuses them does at least answer."""
        if isinstance(error, redis_errors.TimeoutError):
            self._silent[address] = self._clock() + SILENT_SECONDS

    def note_failure(self, error: Exception, address: Address) -> None:
        """The same for a server that should hold a slot: another one may have taken its place."""
        self.note(error, address)
        self.is_stale = self.is_stale or is_transient(error)

    def is_silent(self, address: Address) -> bool:
        """Whether a server did not answer a moment ago."""
        return self._silent.get(address, 0.0) > self._clock()

    def owner(self, key: str | None) -> Address:
        """The server of a key; for no key any server, another one each time."""
        if key is None:
            primaries = self.primaries
            self._turn += 1
            return primaries[self._turn % len(primaries)]
        slot, ranges = key_slot(key.encode()), self._ranges
        found = bisect(ranges, slot, key=lambda known: known[0]) - 1
        if found >= 0 and slot <= ranges[found][1]:
            return ranges[found][2]
        self.is_stale = True
        raise redis_errors.ClusterDownError(f"no server holds slot {slot}")

    def learn(self, reply: Sequence[Any], told_by: Address) -> None:
        """Takes in a reply to `CLUSTER SLOTS`."""
        ranges: list[tuple[int, int, Address]] = []
        for first, last, (host, port, *_), *_ in reply:
            named = "" if host is None else host.decode()
            ranges.append((first, last, Address(told_by.host if named in _NO_HOST else named, port)))
        if not ranges:
            raise redis_errors.ClusterDownError(f"{told_by} knows of no slots")
        self._ranges, self.is_stale = tuple(sorted(ranges)), False
        self.generation += 1

    def lacks(self, learn: Learn) -> bool:
        """Whether what somebody wants to learn is not known yet."""
        return self.is_stale or self.generation == learn.known


def key_slot(key: bytes) -> int:
    """The slot of a key, or of what is in its first braces."""
    _, opened, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else key, 0) % _SLOTS


def routed(request: Request, slots: SlotMap) -> Flow[Any]:
    """Sends a request to the server of its key, and follows the cluster where that has changed."""
    if isinstance(request, ScanRequest):
        return (yield from _scan(request, slots))
    yield from refreshed(slots)
    known = slots.generation
    step = ToNode(address=slots.owner(request.key), request=request)
    for _ in range(_REDIRECTIONS):
        if request.hasty and slots.is_silent(step.address):
            raise redis_errors.TimeoutError(f"{step.address} did not answer a moment ago")
        try:
            return (yield step)
        except redis_errors.MovedError as error:
            yield Learn(known)
            known = slots.generation
            step = ToNode(address=target_of(error, step.address), request=request)
        except redis_errors.AskError as error:
            step = ToNode(address=target_of(error, step.address), request=request, asking=True)
        except FAILURES as error:
            slots.note_failure(error, step.address)
            raise
    raise redis_errors.ClusterDownError(f"the servers of the cluster sent a request on {_REDIRECTIONS} times")


def target_of(error: redis_errors.AskError, sender: Address) -> Address:
    """The server that another one names instead of itself."""
    return Address(sender.host if error.host in _NO_HOST else error.host, error.port)


def refreshed(slots: SlotMap) -> Flow[None]:
    """Sees to it that the slots are known."""
    if slots.is_stale:
        yield Learn(slots.generation)


def learned(slots: SlotMap) -> Flow[None]:
    """Asks one server after the other where the slots are. It is up to the driver to let many share this."""
    last: Exception | None = None
    for address in slots.informants:
        try:
            reply = yield ToNode(address=address, request=Request(("CLUSTER", "SLOTS"), _INFORMANT_TIMEOUT))
            slots.learn(reply, address)
        except FAILURES as error:
            if "cluster support disabled" in str(error):
                raise BackendError(
                    f"{address} is no cluster: give its URL as redis:// instead of redis+cluster://"
                ) from error
            slots.note(error, address)
            last = error
        else:
            return
    slots.is_stale = True
    raise last or redis_errors.ConnectionError("no server of the cluster is known")


def cluster_request_of(call: Call[Any], *, hasty: bool = False) -> Request:
    """How a call becomes a request: the one that looks at the whole keyspace goes to each server in turn."""
    if call.script.name == "scan_tasks":
        pattern, cursor = (str(argument) for argument in call.args)
        return ScanRequest((), pattern=pattern, cursor=cursor)
    return request_of(call, hasty=hasty)


def _scan(request: ScanRequest, slots: SlotMap) -> Flow[Any]:
    """One page of one server; its cursor says which server: `CURSOR@HOST:PORT`, or `0` at begin and end.

    A script would be refused by servers that do not hold the slot of its key.
    """
    position, _, name = request.cursor.partition("@")
    yield from refreshed(slots)
    ahead = [address for address in slots.primaries if not name or address >= _parse(name)]
    if not ahead:
        return [b"0", []]
    here = position if str(ahead[0]) == name else "0"
    words = ("SCAN", here, "MATCH", request.pattern, "COUNT", _SCAN_COUNT, "TYPE", "stream")
    try:
        left, keys = yield ToNode(address=ahead[0], request=Request(words))
    except FAILURES as error:
        slots.note_failure(error, ahead[0])
        raise
    if left != b"0":
        return [f"{left.decode()}@{ahead[0]}".encode(), keys]
    return [f"0@{ahead[1]}".encode() if len(ahead) > 1 else b"0", keys]


def _parse(name: str) -> Address:
    host, _, port = name.rpartition(":")
    return Address(host, int(port))


def located(key: str, slots: SlotMap) -> Flow[Address]:
    """The server of a key."""
    yield from refreshed(slots)
    return slots.owner(key)
