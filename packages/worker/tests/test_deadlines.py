"""Timeouts of many attempts with one timer."""

import asyncio
import weakref
from collections.abc import Callable

import pytest

from taskora.worker._deadlines import Deadlines
from taskora.worker._signals import fast_event_loop
from tests.polling import aeventually


async def _in_order() -> list[str]:
    over: list[str] = []

    def expire(item: str) -> None:
        over.append(item)
        if item == "first":  # while the second is due as well
            deadlines.watch(["fifth"])
            deadlines.drop("third")

    deadlines = Deadlines[str](0, expire)
    deadlines.watch(["first", "second", "dropped"])
    deadlines.watch(["third", "fourth"])
    deadlines.drop("dropped")

    async def all_over() -> bool:
        return len(over) == 4

    await aeventually(all_over)
    deadlines.close()
    return over


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, fast_event_loop()], ids=["asyncio", "the one of workers"])
def test_items_may_come_and_go_while_others_are_due(
    factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(_in_order()) == ["first", "second", "fourth", "fifth"]


async def test_the_time_that_is_left_is_known_as_long_as_an_item_is_watched() -> None:
    deadlines = Deadlines[str](3_600_000, lambda _: None)
    deadlines.watch(["one"])
    assert 3500 < deadlines.left_seconds("one") <= 3600
    deadlines.drop("one")
    assert deadlines.left_seconds("one") == 0
    deadlines.close()


async def test_nothing_is_due_without_a_delay() -> None:
    deadlines = Deadlines[str](None, lambda _: None)
    deadlines.watch(["one"])
    assert deadlines.left_seconds("one") == 0
    deadlines.close()


async def test_an_item_that_was_dropped_is_not_kept() -> None:
    class Item:
        pass

    deadlines = Deadlines[Item](3_600_000, lambda _: None)
    item = Item()
    gone = weakref.ref(item)
    deadlines.watch([item])
    deadlines.drop(item)
    del item
    assert gone() is None
    deadlines.close()
