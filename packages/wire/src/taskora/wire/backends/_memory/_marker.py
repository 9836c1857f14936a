"""The wake-up token of a task: one at most, and the first who waits gets it."""

from collections import deque

from taskora.wire.backends._memory._waiting import Sleeper


class Seeker:
    """One who waits for the token of a task."""

    __slots__ = ("look_at_ms", "sleeper")

    def __init__(self, sleeper: Sleeper) -> None:
        self.sleeper = sleeper
        self.look_at_ms: int | None = None


class Marker:
    """Says when to look for work: 0 is now, otherwise an instant, None never."""

    __slots__ = ("_look_at_ms", "_seekers")

    def __init__(self) -> None:
        self._look_at_ms: int | None = None
        self._seekers: deque[Seeker] = deque()

    @property
    def look_at_ms(self) -> int | None:
        """What the token says, while nobody has taken it."""
        return self._look_at_ms

    def clear(self) -> None:
        """Takes the token away."""
        self._look_at_ms = None

    def set(self, look_at_ms: int) -> None:
        """Replaces the token."""
        self._look_at_ms = look_at_ms

    def advance(self, look_at_ms: int) -> None:
        """Sets the token, unless there is one for an earlier instant."""
        if self._look_at_ms is None or look_at_ms < self._look_at_ms:
            self._look_at_ms = look_at_ms

    def seek(self, seeker: Seeker) -> None:
        """Puts somebody at the end of the queue for the token."""
        seeker.look_at_ms = None
        self._seekers.append(seeker)
        self.deliver()

    def leave(self, seeker: Seeker) -> int | None:
        """Takes somebody out of the queue; the token it got meanwhile, if any."""
        if seeker in self._seekers:
            self._seekers.remove(seeker)
        return seeker.look_at_ms

    def deliver(self) -> None:
        """Gives the token to whoever has waited longest; called when an operation is complete."""
        while self._look_at_ms is not None and self._seekers:
            seeker = self._seekers.popleft()
            seeker.look_at_ms = self._look_at_ms  # before it wakes, perhaps at once, in another thread
            if seeker.sleeper.wake():
                self._look_at_ms = None

    def wake_all(self) -> None:
        """Makes everybody in the queue look at the clock."""
        for seeker in self._seekers:
            seeker.sleeper.wake()
