"""How much better we are than the best of the others, row by row."""

from collections.abc import Iterable
from dataclasses import dataclass

from taskora.bench._rows import Row
from taskora.bench.peers._catalog import OURS, Language
from taskora.bench.peers._document import Comparison, Library


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Who is the best of the others, and how many times better we are: above 1 we are, below 1 they are."""

    best: Library
    factor: float


def ratio(comparison: Comparison, row: Row, language: Language) -> Ratio | None:
    """Compares us with the best library of a language; nothing where one of the two has no figure."""
    ours = comparison.ours.figure(row.name) if comparison.ours else None
    best = best_of((one for one in comparison.libraries if one.name != OURS.name and one.language == language), row)
    theirs = best.figure(row.name) if best else None
    if best is None or not ours or not theirs:
        return None
    return Ratio(best=best, factor=ours / theirs if row.higher_is_better else theirs / ours)


def best_of(libraries: Iterable[Library], row: Row) -> Library | None:
    """The library with the best figure."""
    figures = {library.name: (library, figure) for library in libraries if (figure := library.figure(row.name))}
    if not figures:
        return None
    pick = max if row.higher_is_better else min
    return pick(figures.values(), key=lambda pair: pair[1])[0]
