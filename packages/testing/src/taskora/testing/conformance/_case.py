"""A case of the suite: a coroutine function that pytest runs as a plain test."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final

from taskora.testing.conformance._subject import Subject

_SUBJECTS: Final = ("subject", "async_subject")


class Cases:
    """Cases of one part of the suite.

    Each takes a `Subject`. The fixture of that name gives a function that opens a storage, runs a case over it and
    closes it, all in one event loop: no plugin for asyncio is needed, and none gets in the way.
    """

    def __init_subclass__(cls) -> None:
        for name, member in vars(cls).copy().items():
            if name.startswith("test_") and inspect.iscoroutinefunction(member):
                setattr(cls, name, _plain(member))


def _plain(case: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(case)
    def test(self: Cases, **arguments: Any) -> None:
        (fixture,) = arguments.keys() & _SUBJECTS
        trial = arguments.pop(fixture)

        def tried(subject: Subject) -> Coroutine[Any, Any, None]:
            return case(self, **{fixture: subject}, **arguments)

        asyncio.run(trial(tried))

    return test
