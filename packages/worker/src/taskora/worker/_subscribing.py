"""Decorators that register listeners, typed by the event that a name stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, Literal, TypeVar, overload

from taskora.producer import (
    ActiveEvent,
    CancelledEvent,
    CollectEvent,
    CompletedEvent,
    DebouncedEvent,
    DelayedEvent,
    ExpiredEvent,
    FailedEvent,
    ProgressEvent,
    PromotedEvent,
    RetryingEvent,
    StalledEvent,
    WaitingEvent,
)
from taskora.worker._listeners import Listeners, WorkerEvent, WorkerEventName

O = TypeVar("O")  # noqa: E741 - output
E = TypeVar("E")
X = TypeVar("X")


class Subscribe(Generic[E]):
    """A decorator that accepts only listeners of one kind of event, and returns them unchanged.

    Listeners are functions or coroutine functions of one argument.
    """

    def __init__(self, listeners: Listeners, name: str, task: str | None) -> None:
        self._listeners: Final = listeners
        self._name: Final = name
        self._task: Final = task

    def __call__(self, listener: Callable[[E], X]) -> Callable[[E], X]:
        """Registers the listener."""
        self._listeners.add(self._name, listener, task=self._task)
        return listener


class TaskEvents(Generic[O]):
    """`on` for the events of one task's jobs, wherever they run."""

    def __init__(self, listeners: Listeners, task: str) -> None:
        self._listeners: Final = listeners
        self._task: Final = task

    @overload
    def __call__(self, event: Literal["waiting"]) -> Subscribe[WaitingEvent]: ...
    @overload
    def __call__(self, event: Literal["delayed"]) -> Subscribe[DelayedEvent]: ...
    @overload
    def __call__(self, event: Literal["promoted"]) -> Subscribe[PromotedEvent]: ...
    @overload
    def __call__(self, event: Literal["active"]) -> Subscribe[ActiveEvent]: ...
    @overload
    def __call__(self, event: Literal["progress"]) -> Subscribe[ProgressEvent]: ...
    @overload
    def __call__(self, event: Literal["completed"]) -> Subscribe[CompletedEvent[O]]: ...
    @overload
    def __call__(self, event: Literal["failed"]) -> Subscribe[FailedEvent]: ...
    @overload
    def __call__(self, event: Literal["retrying"]) -> Subscribe[RetryingEvent]: ...
    @overload
    def __call__(self, event: Literal["stalled"]) -> Subscribe[StalledEvent]: ...
    @overload
    def __call__(self, event: Literal["cancelled"]) -> Subscribe[CancelledEvent]: ...
    @overload
    def __call__(self, event: Literal["expired"]) -> Subscribe[ExpiredEvent]: ...
    @overload
    def __call__(self, event: Literal["debounced"]) -> Subscribe[DebouncedEvent]: ...
    @overload
    def __call__(self, event: Literal["collect"]) -> Subscribe[CollectEvent]: ...
    def __call__(self, event: str) -> Subscribe[Any]:
        """Registers a listener for one kind of event: `"completed"`, `"failed"`, ...

        Raises:
            UsageError: there is no such event.
        """
        name = f"task:{event}"
        self._listeners.check(name, task=self._task)
        return Subscribe(self._listeners, name, self._task)


class WorkerEvents:
    """`on` for the events of all tasks of a worker, and of the worker itself."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners: Final = listeners

    @overload
    def __call__(self, event: WorkerEventName) -> Subscribe[WorkerEvent]: ...
    @overload
    def __call__(self, event: Literal["task:waiting"]) -> Subscribe[WaitingEvent]: ...
    @overload
    def __call__(self, event: Literal["task:delayed"]) -> Subscribe[DelayedEvent]: ...
    @overload
    def __call__(self, event: Literal["task:promoted"]) -> Subscribe[PromotedEvent]: ...
    @overload
    def __call__(self, event: Literal["task:active"]) -> Subscribe[ActiveEvent]: ...
    @overload
    def __call__(self, event: Literal["task:progress"]) -> Subscribe[ProgressEvent]: ...
    @overload
    def __call__(self, event: Literal["task:completed"]) -> Subscribe[CompletedEvent[object]]: ...
    @overload
    def __call__(self, event: Literal["task:failed"]) -> Subscribe[FailedEvent]: ...
    @overload
    def __call__(self, event: Literal["task:retrying"]) -> Subscribe[RetryingEvent]: ...
    @overload
    def __call__(self, event: Literal["task:stalled"]) -> Subscribe[StalledEvent]: ...
    @overload
    def __call__(self, event: Literal["task:cancelled"]) -> Subscribe[CancelledEvent]: ...
    @overload
    def __call__(self, event: Literal["task:expired"]) -> Subscribe[ExpiredEvent]: ...
    @overload
    def __call__(self, event: Literal["task:debounced"]) -> Subscribe[DebouncedEvent]: ...
    @overload
    def __call__(self, event: Literal["task:collect"]) -> Subscribe[CollectEvent]: ...
    def __call__(self, event: str) -> Subscribe[Any]:
        """Registers a listener: `"task:completed"`, `"task:failed"`, ..., `"worker:ready"`, `"worker:closing"`.

        Raises:
            UsageError: there is no such event.
        """
        self._listeners.check(event, task=None)
        return Subscribe(self._listeners, event, None)
