"""Whether a backend is open, and who sleeps on its behalf."""

from collections.abc import Generator
from contextlib import contextmanager

from taskora.contracts import BackendError
from taskora.wire.backends._memory._waiting import AsyncSleeper


class Session:
    """The life of one backend object; the store it uses may have others."""

    __slots__ = ("_is_closed", "_sleepers")

    def __init__(self) -> None:
        self._is_closed = False
        self._sleepers: set[AsyncSleeper] = set()

    def check_open(self) -> None:
        """Does nothing while the backend is open.

        Raises:
            BackendError: it is closed.
        """
        if self._is_closed:
            raise BackendError("this backend is closed: open another one")

    @contextmanager
    def sleeper(self) -> Generator[AsyncSleeper]:
        """Somebody who sleeps in this context, and wakes when the backend is closed."""
        self.check_open()
        sleeper = AsyncSleeper()
        self._sleepers.add(sleeper)
        try:
            yield sleeper
        finally:
            self._sleepers.discard(sleeper)

    def close(self) -> None:
        """Closes the backend; everybody who waits for it raises `BackendError`."""
        self._is_closed = True
        for sleeper in tuple(self._sleepers):
            sleeper.wake()
