"""Work that takes several operations, written once for threads and for asyncio.

A flow is a generator: it yields what it needs (an `Operation`, a `Pause`, ...) and is sent the reply, or has the
error thrown into it. `drive` and `drive_async` perform what it asks for.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, TypeAlias, TypeVar

from taskora.contracts import BackendError
from taskora.contracts.records import record
from taskora.wire._job import JobRecord
from taskora.wire._operations import CountVersions, ListJobs, Operation, VersionCounts

R = TypeVar("R")
Flow: TypeAlias = Generator[Any, Any, R]


@record(kw_only=False)
class Pause:
    """Asks the driver to let time pass."""

    seconds: float


@record(kw_only=False)
class Together:
    """Asks the driver for several operations that do not depend on one another; the reply is a list of theirs.

    They share round trips where the storage has any.
    """

    operations: Sequence[Operation[Any]]


def ask_together(operations: Sequence[Operation[R]]) -> Flow[list[R]]:
    """Asks the driver for several operations at once; `yield from` gives their replies, typed."""
    replies: list[R] = yield Together(operations)
    return replies


def ask(operation: Operation[R]) -> Flow[R]:
    """Asks the driver for an operation; `yield from` gives its reply, typed."""
    reply: R = yield operation
    return reply


def drive(flow: Flow[R], perform: Callable[[Any], Any]) -> R:
    """Runs a flow; `perform` does one step and returns its reply."""
    try:
        step = next(flow)
        while True:
            try:
                reply = perform(step)
            except Exception as error:  # noqa: BLE001 - the flow decides what it can handle
                step = flow.throw(error)
            else:
                step = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration carries the flow's R untyped


async def drive_async(flow: Flow[R], perform: Callable[[Any], Awaitable[Any]]) -> R:
    """Runs a flow in the event loop."""
    try:
        step = next(flow)
        while True:
            try:
                reply = await perform(step)
            except Exception as error:  # noqa: BLE001 - the flow decides what it can handle
                step = flow.throw(error)
            else:
                step = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration carries the flow's R untyped


def may_pass(error: BaseException) -> bool:
    """Whether what failed may succeed later, as it is: the server could not be reached, or could not do it now.

    Anything else would fail again: the request was refused, or what is stored is damaged.
    """
    return isinstance(error, BackendError) and not error.is_permanent


def read_jobs(listing: ListJobs) -> Flow[list[JobRecord]]:
    """A page of jobs, in as many requests as the storage takes for it."""
    found: list[JobRecord] = []
    rest: ListJobs | None = listing
    while rest is not None:
        page = yield from ask(rest)
        found += page.records
        rest = page.rest
    return found


def count_versions(task: str) -> Flow[VersionCounts]:
    """All payload versions of a task, in as many requests as the storage takes for it.

    Jobs that move meanwhile may be counted twice, and missed if they go back to where they came from.
    """
    waiting, active, delayed = Counter[int](), Counter[int](), Counter[int]()
    rest: CountVersions | None = CountVersions(task=task)
    while rest is not None:
        counts = yield from ask(rest)
        waiting.update(counts.waiting)
        active.update(counts.active)
        delayed.update(counts.delayed)
        rest = counts.rest
    return VersionCounts(waiting=dict(waiting), active=dict(active), delayed=dict(delayed))
