"""What declaring gives back."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Generic, TypeVar, overload

from taskora.producer import AsyncBoundTask
from taskora.worker._context import Context
from taskora.worker._implementation import Implementation
from taskora.worker._listeners import Listeners
from taskora.worker._subscribing import TaskEvents

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output


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
    """A task of a worker: to dispatch to, and to listen to.

    Attributes:
        on: `@task.on("completed")` registers a listener for events of this task's jobs.
        __wrapped__: The handler, if the task took its name: a process that imports the handler finds the task there.
    """

    __wrapped__: Callable[..., Any]

    def __init__(
        self,
        bound: AsyncBoundTask[I, O],
        listeners: Listeners,
        implementations: Mapping[str, Implementation[Any, Any]],
    ) -> None:
        super().__init__(bound._session, bound.contract, bound._rules)
        self.on: Final = TaskEvents[O](listeners, self.name)
        self._implementations: Final = implementations

    @property
    def implementation(self) -> Implementation[I, O] | None:
        """How the worker implements the task; None if it does not."""
        return self._implementations.get(self.name)


class Inline:
    """A decorator that takes the types of a task from its handler, and returns the task."""

    def __init__(self, declare: Callable[[Callable[..., Any]], WorkerTask[Any, Any]]) -> None:
        self._declare: Final = declare

    @overload
    def __call__(self, handler: Callable[[I, Context], Coroutine[Any, Any, O]]) -> WorkerTask[I, O]: ...
    @overload
    def __call__(self, handler: Callable[[I], Coroutine[Any, Any, O]]) -> WorkerTask[I, O]: ...
    @overload
    def __call__(self, handler: Callable[[I, Context], O]) -> WorkerTask[I, O]: ...
    @overload
    def __call__(self, handler: Callable[[I], O]) -> WorkerTask[I, O]: ...
    def __call__(self, handler: Callable[..., Any]) -> WorkerTask[Any, Any]:
        """Declares and implements the task."""
        task = self._declare(handler)
        task.__wrapped__ = handler
        return task
