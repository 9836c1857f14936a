"""What the demo's producer and worker share."""

from dataclasses import dataclass
from typing import Final

from taskora.contracts import Retry, TaskContract, define_task


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A Python file, by its path."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LongestFunction:
    """The longest function of a file: its name, its first line, and how many lines it has."""

    name: str
    line: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIndex:
    """What was counted in a file."""

    lines: int
    functions: int
    classes: int
    imports: int
    longest: LongestFunction | None = None


INDEX_FILE: Final[TaskContract[SourceFile, FileIndex]] = define_task(
    "demo-index-file",
    input=SourceFile,
    output=FileIndex,
    # A file that cannot be parsed cannot be parsed a second time either.
    retry=Retry(attempts=3, delay="100ms", no_retry_on=("SyntaxError",)),
    timeout="30s",
)
"""Counts what is in a file."""

WATCH_FILE: Final[TaskContract[SourceFile, object]] = define_task("demo-watch-file", input=SourceFile, timeout="2m")
"""Watches a file until it is cancelled."""
