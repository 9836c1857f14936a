"""Records of `logging` on their way into a job's log."""

import logging
from contextvars import ContextVar

from taskora.worker._context import Context
from taskora.worker._handlers import Invoker

_current: ContextVar[Context | None] = ContextVar("taskora_captured_job", default=None)


class _JobHandler(logging.Handler):
    """Writes records to the job in whose context they are made; others pass by."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record. The logger's own name and level come with it as meta."""
        context = _current.get()
        if context is None or record.name.startswith("taskora."):
            return
        log = context.log
        write = (
            log.error
            if record.levelno >= logging.ERROR
            else log.warn
            if record.levelno >= logging.WARNING
            else log.info
        )
        write(self.format(record), logger=record.name, level=record.levelname)


_handler = _JobHandler()


def capturing(call: Invoker) -> Invoker:
    """While it lasts, records made by its task, and by threads that run its handler, go to the job's log too.

    The root logger is given one handler, once, by the first task that asks for it; levels stay as they are.
    """

    async def captured(ctx: Context) -> object:
        root = logging.getLogger()
        if _handler not in root.handlers:
            root.addHandler(_handler)
        token = _current.set(ctx)
        try:
            return await call(ctx)
        finally:
            _current.reset(token)

    return captured
