"""The figures of one run, and the JSON they are kept in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final, Self, cast

from taskora.bench.peers._catalog import OURS, Language

_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What was measured of one library: every figure of every repeat, by row.

    `missing` says, by scenario, why there are no figures: what is not offered. `failed` says what went wrong.
    """

    name: str
    title: str
    language: Language
    version: str
    settings: str
    runs: Mapping[str, Sequence[float]]
    missing: Mapping[str, str]
    failed: Mapping[str, str]

    def figure(self, row: str) -> float | None:
        """The median of the repeats."""
        runs = self.runs.get(row)
        return median(runs) if runs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One run. `date` is ISO 8601; `load` is the load average when it began; `seconds` bounds a scenario."""

    date: str
    machine: str
    cores: int
    load: float
    python: str
    server: str
    repeats: int
    seconds: float
    libraries: Sequence[Library]

    @property
    def ours(self) -> Library | None:
        """Ourselves, where we were measured."""
        return next((library for library in self.libraries if library.name == OURS.name), None)

    def to_json(self) -> str:
        """As text, with the medians beside the single figures, for whoever reads it without us."""
        document: dict[str, Any] = {"schema": _SCHEMA, **asdict(self)}
        for library, entry in zip(self.libraries, document["libraries"], strict=True):
            entry["medians"] = {row: library.figure(row) for row in library.runs}
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: it is of another schema, or of none.
        """
        document = cast("dict[str, Any]", json.loads(text))
        if document.pop("schema", None) != _SCHEMA:
            raise ValueError(f"these are not figures of schema {_SCHEMA}: run `make bench-peers` again")
        try:
            libraries = [_library(entry) for entry in document.pop("libraries")]
            return cls(libraries=libraries, **document)
        except (KeyError, TypeError) as error:
            raise ValueError(f"these figures are not complete: {error}") from error


def _library(entry: dict[str, Any]) -> Library:
    entry.pop("medians")
    return Library(**entry)
