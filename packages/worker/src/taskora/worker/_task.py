"""What declaring gives back."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar, overload

from taskora.producer import AsyncBoundTask
from taskora.worker._context import Context
from taskora.worker._listeners import JobEventName, Listener, Listeners

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
L = TypeVar("L", bound=Listener)


class Implement(Generic[I, O]):
    """A decorator that accepts only handlers whose types fit the contract, and returns them unchanged."""

    def __init__(self, declare: Callable[[Callable[..., Any]], None]) -> None:
        self._declare: Final = declare

    @overload
    def __call__(
        self, handler: Callable[[I, Context], Coroutine[Any, Any, O]]
    ) -> Callable[[I, Context], Coroutine[Any, Any, O]]: ...
    @overload
    def __call__(self, handler: Callable[[I], Coroutine[Any, Any, O]]) -> Callable[[I], Coroutine[Any, Any, O]]: ...
    @overload
    def __call__(self, handler: Callable[[I, Context], O]) -> Callable[[I, Context], O]: ...
    @overload
    def __call__(self, handler: Callable[[I], O]) -> Callable[[I], O]: ...
    def __call__(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Registers the handler."""
        self._declare(handler)
        return handler


class WorkerTask(AsyncBoundTask[I, O]):
    """A task of a worker: to dispatch to, and to listen to."""

    def __init__(self, bound: AsyncBoundTask[I, O], listeners: Listeners) -> None:
        super().__init__(bound._session, bound.contract, bound._rules)
        self._listeners: Final = listeners

    def on(self, event: JobEventName) -> Callable[[L], L]:
        """Registers a listener for one kind of event of this task's jobs: `"completed"`, `"failed"`, ..."""

        def add(listener: L) -> L:
            self._listeners.add(f"task:{event}", listener, task=self.name)
            return listener

        return add
