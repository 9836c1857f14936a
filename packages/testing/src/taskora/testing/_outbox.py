"""What the code under test has dispatched."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from taskora.contracts import TaskContract, UsageError, is_contract
from taskora.producer import Payloads
from taskora.testing._dispatched import Dispatched, DispatchedWorkflow, dispatches, workflow_of
from taskora.testing._matching import Matching, described, matches
from taskora.testing._recording import RecordingBackend
from taskora.testing._runner import TestRunner
from taskora.wire import Backend, Clock, DispatchOccurrences, Operation, Serializer, labelled
from taskora.wire.backends import MemoryBackend, redirected

I = TypeVar("I")  # noqa: E741 - input

_SHOWN: Final = 10


class _Bound(Protocol[I]):
    @property
    def contract(self) -> TaskContract[I, Any]: ...


Task: TypeAlias = TaskContract[I, Any] | _Bound[I]


class Outbox:
    """Everything that was dispatched since it was opened or cleared, in order; no job of it runs by itself.

    Attributes:
        serializer: What the code under test gives its producers as `serializer`, if it does; set it before you look.
    """

    def __init__(self) -> None:
        self.serializer: Serializer | None = None
        self._entries: list[Dispatched[bytes]] = []
        self._workflows: list[DispatchedWorkflow] = []

    def record(self, prefix: str | None, operation: Operation[Any], reply: Any) -> None:
        """Takes in an operation that was carried out under a prefix."""
        found = dispatches(operation, reply, prefix)
        if isinstance(operation, DispatchOccurrences):  # may be asked for again, and is not dispatched again
            known = {entry.job_id for entry in self._entries}
            found = [entry for entry in found if entry.job_id not in known]
        self._entries += found
        workflow = workflow_of(operation, reply, prefix)
        if workflow is not None:
            self._workflows.append(workflow)

    # Looking.

    def dispatched(self, task: Task[I]) -> list[Dispatched[I]]:
        """What was dispatched of a task and accepted, oldest first.

        Raises:
            ValidationError: a payload cannot be read as the contract says.
        """
        return [entry for entry in self._decoded(task) if entry.accepted]

    def rejected(self, task: Task[I]) -> list[Dispatched[I]]:
        """What was dispatched of a task and not accepted; `fate` says why."""
        return [entry for entry in self._decoded(task) if not entry.accepted]

    @property
    def workflows(self) -> list[DispatchedWorkflow]:
        """The workflows that were dispatched, oldest first. Their first steps are among what was `dispatched`."""
        return list(self._workflows)

    @property
    def tasks(self) -> dict[str, int]:
        """How much was dispatched and accepted, by the name of the task."""
        return dict(Counter(entry.task for entry in self._entries if entry.accepted))

    def __len__(self) -> int:
        return sum(entry.accepted for entry in self._entries)

    def __bool__(self) -> bool:
        return True  # an empty outbox is still an outbox

    def _decoded(self, task: Task[I]) -> list[Dispatched[I]]:
        contract = _contract_of(task)
        codec = Payloads(contract, labelled(self.serializer)).input
        entries = [entry for entry in self._entries if entry.task == contract.name]
        return [_with_data(entry, codec.decode(entry.data)) for entry in entries]

    # Asserting.

    def assert_dispatched(
        self, task: Task[I], matching: Matching[I] | None = None, *, count: int | None = None
    ) -> Dispatched[I]:
        """Fails unless a job of a task was dispatched, and returns the first one that matches.

        Args:
            task: A contract, or a bound task.
            matching: A payload to equal, a predicate, or a mapping of the fields that matter, nested as far as needed;
                by default any payload will do.
            count: How many must match; by default at least one.
        """
        __tracebackhide__ = True
        found = self._matching(task, matching)
        if not found or (count is not None and len(found) != count):
            raise AssertionError(self._complaint(task, matching, found, count))
        return found[0]

    def assert_not_dispatched(self, task: Task[I], matching: Matching[I] | None = None) -> None:
        """Fails if a job of a task was dispatched that matches."""
        __tracebackhide__ = True
        found = self._matching(task, matching)
        if found:
            name = _contract_of(task).name
            lines = [f"{len(found)} of task {name!r} should not have been dispatched:", *_listed(found)]
            raise AssertionError("\n".join(lines))

    def assert_empty(self) -> None:
        """Fails if anything was dispatched."""
        __tracebackhide__ = True
        if self.tasks:
            raise AssertionError(f"nothing should have been dispatched, but: {_counted(self.tasks)}")

    def _matching(self, task: Task[I], matching: Matching[I] | None) -> list[Dispatched[I]]:
        return [entry for entry in self.dispatched(task) if matching is None or matches(entry.data, matching)]

    def _complaint(
        self, task: Task[I], matching: Matching[I] | None, found: list[Dispatched[I]], count: int | None
    ) -> str:
        name = _contract_of(task).name
        wanted = "" if matching is None else f" whose payload {described(matching)}"
        head = f"no job of task {name!r} was dispatched{wanted}"
        if count is not None:
            head = f"{len(found)} instead of {count} of task {name!r} were dispatched{wanted}"
        lines = [head]
        for title, entries in (("dispatched", self.dispatched(task)), ("not accepted", self.rejected(task))):
            lines += [f"{title} of this task:", *_listed(entries)] if entries else []
        others = {other: number for other, number in self.tasks.items() if other != name}
        lines.append(f"of other tasks: {_counted(others) if others else 'nothing'}")
        return "\n".join(lines)

    def clear(self) -> None:
        """Forgets what was dispatched so far; the jobs stay where they are."""
        self._entries.clear()
        self._workflows.clear()


@contextmanager
def open_outbox(clock: Clock | None = None, runner: TestRunner | None = None) -> Generator[Outbox]:
    """Redirects all backends of this process that were made from URLs or clients, and tells what is dispatched.

    Producers and workers need not be opened in this context: see `taskora.wire.backends.redirected`.

    Args:
        clock: The clock of the memory that takes the jobs.
        runner: Takes the jobs of producers without a prefix, and runs them when it is told to. What handlers of its
            worker dispatch is told too; what the runner itself dispatches is not.

    Raises:
        UsageError: another outbox is open.
    """
    outbox, memories = Outbox(), list[MemoryBackend]()
    listener = partial(outbox.record, None)

    def elsewhere(prefix: str | None) -> Backend:
        if prefix is None and runner is not None:
            return runner.backend
        memories.append(MemoryBackend(clock=clock))
        return RecordingBackend(memories[-1], partial(outbox.record, prefix))

    listeners = [] if runner is None else runner.backend.listeners
    listeners.append(listener)
    try:
        with redirected(elsewhere):
            yield outbox
    finally:
        listeners.remove(listener)
        for memory in memories:
            _end(memory)


def _end(memory: MemoryBackend) -> None:
    """Closes it; whoever still waits is woken."""
    closing = memory.close()
    try:
        closing.send(None)
    except StopIteration:
        return
    raise AssertionError("memory closes without waiting")


def _contract_of(task: Task[I]) -> TaskContract[I, Any]:
    contract = getattr(task, "contract", task)
    if not is_contract(contract):
        raise UsageError.for_field("task", task, "a contract, or a task bound to a producer or a worker")
    return contract


def _with_data(entry: Dispatched[bytes], data: I) -> Dispatched[I]:
    return cast("Dispatched[I]", replace(cast("Any", entry), data=data))


def _listed(entries: "list[Dispatched[I]]") -> list[str]:
    lines = [f"  {entry}" for entry in entries[:_SHOWN]]
    return lines if len(entries) <= _SHOWN else [*lines, f"  and {len(entries) - _SHOWN} more"]


def _counted(tasks: dict[str, int]) -> str:
    return ", ".join(f"{name!r} ({count})" for name, count in tasks.items())
