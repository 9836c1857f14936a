"""What the services of the indexer share: one task, and the shapes of what it takes and gives.

Needs nothing but the standard library and `taskora.contracts`.
"""

from dataclasses import dataclass
from typing import Final

from taskora.contracts import Retry, TaskContract, define_task

__all__ = ["INDEX_SOURCE", "LongestFunction", "Mistake", "SourceIndex", "SourceToIndex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceToIndex:
    """Python source: its text, or a path below the worker's root directory. Exactly one of both is given."""

    source: str | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if (self.source is None) == (self.path is None):
            raise ValueError("give a source or a path, and not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class LongestFunction:
    """The longest function: its name, its first line, and how many lines it has."""

    name: str
    line: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something that is not Python."""

    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIndex:
    """What was counted. The counts hold for sources with mistakes, too: everything else in them is read."""

    lines: int
    functions: int
    classes: int
    imports: int
    longest: LongestFunction | None
    mistakes: list[Mistake]


INDEX_SOURCE: Final[TaskContract[SourceToIndex, SourceIndex]] = define_task(
    "index-source",
    input=SourceToIndex,
    output=SourceIndex,
    # By name: the worker's errors are not here to be imported.
    retry=Retry(attempts=3, delay="1s", no_retry_on=("FileNotFoundError", "OutsideRootError")),
    timeout="30s",
)
"""Counts what is in a source."""
