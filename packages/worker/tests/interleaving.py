"""Several actors over one storage, operation by operation, in every order or in any.

An actor is a coroutine that does everything through the backend it is given. None goes on before it is its turn, so an
order of turns is an exact history, and each can be killed before or after any of its operations.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any, TypeAlias, TypeVar

from taskora.wire import Backend, Operation

R = TypeVar("R")
Act: TypeAlias = Callable[["Turns"], Awaitable[object]]
Choose: TypeAlias = Callable[[int, int], int]
"""Says for each turn, by its number, who of so many takes it."""
Heard: TypeAlias = Callable[[str, Operation[Any], Any], Awaitable[None]]


class Killed(BaseException):
    """The process is gone: nothing that it would have done afterwards happens."""


@dataclass(frozen=True)
class Death:
    """Which actor dies at its n-th operation, before or after that has reached the storage."""

    actor: str
    at: int
    reaches: bool


@dataclass
class Turns:
    """The backend of one actor: each operation waits for its turn."""

    name: str
    inner: Backend
    heard: Heard
    death: Death | None = None
    done: int = 0
    gate: asyncio.Future[None] | None = None
    task: asyncio.Task[object] | None = None

    async def run(self, operation: Operation[R]) -> R:
        self.gate = asyncio.get_running_loop().create_future()
        await self.gate
        self.done += 1
        dies = self.death is not None and self.death.actor == self.name and self.death.at == self.done
        if dies and self.death is not None and not self.death.reaches:
            raise Killed
        reply = await self.inner.run(operation)
        await self.heard(self.name, operation, reply)
        if dies:
            raise Killed
        return reply

    @property
    def waits(self) -> bool:
        """Whether it is at an operation, and not its turn yet."""
        return self.gate is not None and not self.gate.done()

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end, or died."""
        return self.task is not None and self.task.done()

    def go_on(self) -> None:
        """Gives it its turn."""
        assert self.gate is not None
        self.gate.set_result(None)


@dataclass
class Play:
    """One history. `turns` are the names of those who took them."""

    actors: Sequence[Turns]
    turns: list[str] = field(default_factory=list[str])

    async def perform(self, acts: Sequence[Act], choose: Choose) -> None:
        """Plays to the end."""
        for actor, act in zip(self.actors, acts, strict=True):
            actor.task = asyncio.ensure_future(self._act(actor, act))
        while ready := await self._ready():
            actor = ready[choose(len(self.turns), len(ready))]
            self.turns.append(actor.name)
            actor.go_on()
            await asyncio.sleep(0)

    async def _act(self, actor: Turns, act: Act) -> object:
        try:
            return await act(actor)
        except Killed:
            return Killed

    async def _ready(self) -> list[Turns]:
        """Who may take the next turn, once all of them wait or are over."""
        while not all(actor.waits or actor.is_over for actor in self.actors):  # noqa: ASYNC110 - steps, not time
            await asyncio.sleep(0)
        return [actor for actor in self.actors if not actor.is_over]


def orders_with(switches: int, *, longest: int = 16) -> Iterator[Choose]:
    """All orders in which two actors take turns with so many switches between them, at most; either begins."""
    for count in range(switches + 1):
        for points in combinations(range(1, longest), count):
            for first in (0, 1):
                yield partial(_switching, points, first)


def _switching(points: tuple[int, ...], first: int, turn: int, ready: int) -> int:
    passed = sum(point <= turn for point in points)
    return (first + passed) % 2 if ready == 2 else 0


def random_orders(seed: str, count: int) -> Iterator[Choose]:
    """Some orders, the same ones for the same seed."""
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")
        yield partial(_random, chance)


def _random(chance: random.Random, _turn: int, ready: int) -> int:
    return chance.randrange(ready)
