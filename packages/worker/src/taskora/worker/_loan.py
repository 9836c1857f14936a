"""A worker that is lent: what was declared, and where its dispatches go meanwhile."""

from collections.abc import Mapping
from typing import Any, Final

from taskora.contracts.records import record
from taskora.producer import AsyncSession, PayloadCodec
from taskora.wire import Backend, Serializer
from taskora.worker._config import Retention, SchedulerConfig
from taskora.worker._declared_schedules import DeclaredSchedules
from taskora.worker._handlers import Middleware
from taskora.worker._implementation import Implementation
from taskora.worker._listeners import Listeners


@record
class Declared:
    """What a worker was told before it runs, defaults left out. Mappings and lists are its own, and may grow."""

    implementations: Mapping[str, Implementation[Any, Any]]
    middleware: list[Middleware]
    listeners: Listeners
    codecs: Mapping[str, PayloadCodec[Any]]
    retention: Retention | None
    serializer: Serializer | None
    lease_ms: int
    schedules: DeclaredSchedules
    scheduling: SchedulerConfig | None


class Loan:
    """While it lasts, the worker's producer, its tasks and their handles use the borrower's backend.

    Attributes:
        declared: What the worker was told.
        is_over: Whether it has ended, perhaps because somebody else borrowed the worker.
    """

    def __init__(self, session: AsyncSession, declared: Declared, backend: Backend) -> None:
        self.declared: Final = declared
        self.is_over = False
        self._session: Final = session
        self._backend: Final = backend
        session.divert(backend)

    def begin_anew(self) -> None:
        """Forgets what belongs to an event loop, for a borrower who comes back in another one."""
        self._session.restore()
        self._session.divert(self._backend)

    async def end(self) -> None:
        """Gives the worker back as it was. Ending twice is the same as once."""
        outlet = None if self.is_over else self._session.restore()
        self.is_over = True
        if outlet is not None:
            await outlet.close()

    def drop(self) -> None:
        """The same at once, for those whose event loop is closed."""
        outlet = None if self.is_over else self._session.restore()
        self.is_over = True
        if outlet is not None:
            outlet.abandon()
