"""Logging for programs whose main module is ours."""

import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class FieldFormatter(logging.Formatter):
    """One line per record: time in UTC, level, logger, message, and the fields that were given as `extra`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The time in ISO 8601, with milliseconds."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The line without the traceback."""
        fields = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in fields.items())])


def log_to_stderr(level: LogLevel) -> None:
    """Sends what all libraries log to stderr; what was configured before stays."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
