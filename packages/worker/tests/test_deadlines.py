"""Timeouts of many attempts with one timer."""

import asyncio
from collections.abc import Callable

import pytest

from taskora.worker._deadlines import Deadlines
from taskora.worker._signals import fast_event_loop
from tests.polling import aeventually


async def _two_at_once() -> list[str]:
    """The second is added while the timer of the first is about to fire."""
    over: list[str] = []
    deadlines = Deadlines[str](over.append)
    deadlines.add("first", 0)
    deadlines.add("second", 0)
    dropped = deadlines.add("dropped", 1)
    deadlines.drop(dropped)
    deadlines.add("third", 2)

    async def all_over() -> bool:
        return len(over) == 3

    await aeventually(all_over)
    deadlines.close()
    return over


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, fast_event_loop()], ids=["asyncio", "the one of workers"])
def test_a_deadline_may_be_added_while_another_is_due(
    factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(_two_at_once()) == ["first", "second", "third"]
