"""Concurrent calls share round trips, and nobody suffers from somebody else who gives up."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from taskora.producer._group_commit import GroupCommit


class Wire:
    """Records batches; each is answered when the test says so."""

    def __init__(self, limit: int = 3, *, spreads: type[Exception] | tuple[()] = ()) -> None:
        self.batches: list[list[int]] = []
        self.gates: list[asyncio.Future[Any]] = []
        self.commit = GroupCommit[int, str](
            self.send, cut=lambda items: min(len(items), limit), spreads=lambda error: isinstance(error, spreads)
        )

    async def send(self, items: Sequence[int]) -> Sequence[str]:
        self.batches.append(list(items))
        gate: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        replies = await gate
        return replies if replies is not None else [f"reply {item}" for item in items]

    def start(self, item: int) -> asyncio.Task[str]:
        return asyncio.get_running_loop().create_task(self.commit.submit(item))

    async def answer(self, number: int, replies: Any = None) -> None:
        await settle()
        self.gates[number].set_result(replies)
        await settle()

    async def break_(self, number: int, error: BaseException) -> None:
        await settle()
        self.gates[number].set_exception(error)
        await settle()


async def settle() -> None:
    """Let everything happen that can happen without news from outside."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_lone_caller_leaves_at_once_and_alone() -> None:
    wire = Wire()
    call = wire.start(1)
    await wire.answer(0)
    assert await call == "reply 1"
    assert wire.batches == [[1]]


async def test_what_gathers_during_a_batch_leaves_together_in_order() -> None:
    wire = Wire(limit=10)
    calls = [wire.start(item) for item in range(5)]
    await wire.answer(0)
    await wire.answer(1)
    assert await asyncio.gather(*calls) == [f"reply {item}" for item in range(5)]
    assert wire.batches == [[0], [1, 2, 3, 4]]


async def test_a_batch_is_cut_where_the_caller_says() -> None:
    wire = Wire(limit=3)
    calls = [wire.start(item) for item in range(6)]
    for number in range(3):
        await wire.answer(number)
    assert wire.batches == [[0], [1, 2, 3], [4, 5]]
    assert await asyncio.gather(*calls) == [f"reply {item}" for item in range(6)]


async def test_a_cut_of_nothing_still_makes_progress() -> None:
    wire = Wire(limit=0)
    calls = [wire.start(item) for item in range(3)]
    for number in range(3):
        await wire.answer(number)
    assert wire.batches == [[0], [1], [2]]
    assert all(call.done() for call in calls)


async def test_calls_during_the_second_batch_form_the_third() -> None:
    wire = Wire(limit=10)
    calls = [wire.start(0), wire.start(1)]
    await wire.answer(0)
    calls.append(wire.start(2))
    await wire.answer(1)
    await wire.answer(2)
    assert wire.batches == [[0], [1], [2]]
    assert await asyncio.gather(*calls) == ["reply 0", "reply 1", "reply 2"]


async def test_it_is_idle_again_afterwards() -> None:
    wire = Wire()
    for item in range(3):
        calls = [wire.start(item), wire.start(item + 10)]
        await wire.answer(2 * item)
        await wire.answer(2 * item + 1)
        assert await asyncio.gather(*calls) == [f"reply {item}", f"reply {item + 10}"]


async def test_an_error_is_raised_to_the_whole_batch_and_to_nobody_else() -> None:
    wire = Wire(limit=2)
    calls = [wire.start(item) for item in range(4)]
    await wire.answer(0)
    await wire.break_(1, OSError("cut"))
    await wire.answer(2)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results[0] == "reply 0"
    assert [str(result) for result in results[1:3]] == ["cut", "cut"]
    assert results[3] == "reply 3"


async def test_an_error_that_spreads_is_also_that_of_all_who_were_waiting_when_its_batch_left() -> None:
    wire = Wire(limit=2, spreads=TimeoutError)
    calls = [wire.start(item) for item in range(7)]
    await wire.answer(0)
    calls += [wire.start(7), wire.start(8)]
    await wire.break_(1, TimeoutError("silent"))
    results = await asyncio.gather(*calls[:7], return_exceptions=True)
    assert [str(result) for result in results] == ["reply 0", *["silent"] * 6]
    await wire.answer(2)
    assert await asyncio.gather(*calls[7:]) == ["reply 7", "reply 8"]
    assert wire.batches == [[0], [1, 2], [7, 8]]


async def test_another_error_does_not_spread() -> None:
    wire = Wire(limit=2, spreads=TimeoutError)
    calls = [wire.start(item) for item in range(4)]
    await wire.answer(0)
    await wire.break_(1, OSError("refused"))
    await wire.answer(2)
    assert await calls[3] == "reply 3"
    assert all(isinstance(call.exception(), OSError) for call in calls[1:3])


async def test_an_error_of_the_leader_is_the_leaders_alone() -> None:
    wire = Wire()
    leader, follower = wire.start(1), wire.start(2)
    await wire.break_(0, OSError("cut"))
    await wire.answer(1)
    with pytest.raises(OSError, match="cut"):
        await leader
    assert await follower == "reply 2"


async def test_a_cancelled_follower_that_has_not_left_is_left_out() -> None:
    wire = Wire()
    _leader, gone, stays = wire.start(1), wire.start(2), wire.start(3)
    await settle()
    gone.cancel()
    await wire.answer(0)
    await wire.answer(1)
    assert wire.batches == [[1], [3]]
    assert await stays == "reply 3"
    assert gone.cancelled()


async def test_a_cancelled_follower_under_way_takes_nobody_along() -> None:
    wire = Wire()
    _leader, gone, stays = wire.start(1), wire.start(2), wire.start(3)
    await wire.answer(0)
    gone.cancel()
    await wire.answer(1)
    assert wire.batches == [[1], [2, 3]]
    assert await stays == "reply 3"
    assert gone.cancelled()


async def test_an_error_after_every_caller_has_gone_bothers_nobody() -> None:
    wire = Wire()
    leader, gone = wire.start(1), wire.start(2)
    await wire.answer(0)
    gone.cancel()
    await wire.break_(1, OSError("cut"))
    again = wire.start(3)
    await wire.answer(2)
    assert await again == "reply 3"
    assert await leader == "reply 1"


async def test_a_cancelled_leader_neither_drops_followers_nor_answers_them() -> None:
    wire = Wire()
    leader, follower = wire.start(1), wire.start(2)
    await settle()
    leader.cancel()
    await settle()
    assert leader.cancelled()
    assert not follower.done()
    assert wire.batches == [[1], [2]]
    await wire.answer(1)
    assert await follower == "reply 2"


async def test_a_cancelled_leader_without_followers_leaves_it_idle() -> None:
    wire = Wire()
    leader = wire.start(1)
    await settle()
    leader.cancel()
    await settle()
    later = wire.start(2)
    await wire.answer(1)
    assert await later == "reply 2"


async def test_a_reply_of_the_wrong_length_is_an_error_to_all_and_not_a_hang() -> None:
    wire = Wire()
    calls = [wire.start(item) for item in range(3)]
    await wire.answer(0)
    await wire.answer(1, replies=["only one"])
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results[0] == "reply 0"
    assert [type(result) for result in results[1:]] == [ValueError, ValueError]


async def test_a_cancelled_sender_cancels_all_that_wait_for_it() -> None:
    wire = Wire(limit=1)
    calls = [wire.start(item) for item in range(3)]
    await wire.answer(0)
    sender = wire.commit._sender
    assert sender is not None
    sender.cancel()
    await settle()
    assert [call.cancelled() for call in calls] == [False, True, True]
    later = wire.start(9)
    await wire.answer(2)
    assert await later == "reply 9"
