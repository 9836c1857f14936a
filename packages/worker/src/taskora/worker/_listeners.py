"""Listeners: what is called when something happens to a job, or to this worker."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias, get_args

from taskora.contracts import UsageError
from taskora.contracts.records import record

logger = logging.getLogger("taskora.worker")

JobEventName: TypeAlias = Literal[
    "waiting", "delayed", "promoted", "active", "progress", "completed",
    "failed", "retrying", "stalled", "cancelled", "expired", "debounced", "collect",
]  # fmt: skip
WorkerEventName: TypeAlias = Literal["worker:ready", "worker:error", "worker:closing"]
Listener: TypeAlias = Callable[[Any], Awaitable[object] | object]


@record
class WorkerEvent:
    """Something happened to this worker. `error` is set for `worker:error`."""

    name: WorkerEventName
    error: BaseException | None = None


class Listeners:
    """All listeners of a worker."""

    def __init__(self) -> None:
        self._by_kind: dict[tuple[str | None, str], list[Listener]] = {}
        self._on_change: Callable[[], None] | None = None

    def check(self, name: str, *, task: str | None) -> None:
        """Refuses names of events that do not exist.

        Raises:
            UsageError: there is no such event.
        """
        kinds = [f"task:{kind}" for kind in get_args(JobEventName)]
        known = kinds if task is not None else [*kinds, *get_args(WorkerEventName)]
        if name not in known:
            raise UsageError.for_field("event", name, f"one of {', '.join(known)}")

    def add(self, name: str, listener: Listener, *, task: str | None = None) -> None:
        """Registers a listener for `"task:<kind>"` or `"worker:<kind>"`; for one task if it is named."""
        if not callable(listener):
            raise UsageError.for_field(f"listener of {name!r}", listener, "a function of one argument")
        self._by_kind.setdefault((task, name), []).append(listener)
        if self._on_change is not None:
            self._on_change()

    def watch(self, on_change: Callable[[], None] | None) -> None:
        """Calls a function whenever a listener is added; None calls nobody."""
        self._on_change = on_change

    def want(self, task: str) -> bool:
        """Whether somebody listens to events of a task's jobs."""
        return any(name.startswith("task:") and owner in (None, task) for owner, name in self._by_kind)

    def hear_failures(self, task: str) -> bool:
        """Whether somebody listens to the failures of a task, so that they need not be logged."""
        return bool(self._by_kind.get((None, "task:failed")) or self._by_kind.get((task, "task:failed")))

    async def deliver(self, name: str, event: object, *, task: str | None = None) -> None:
        """Calls listeners one after the other. One that fails is logged and does not keep others from being called."""
        listeners = [*self._by_kind.get((None, name), ())]
        if task is not None:
            listeners += self._by_kind.get((task, name), ())
        for listener in listeners:
            try:
                done = listener(event)
                if inspect.isawaitable(done):
                    await done
            except Exception:
                logger.exception("listener_failed", extra={"event": name})
