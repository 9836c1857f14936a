"""Creating a workflow under a chosen id: by several producers, while sweepers give it up, and some of them die."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from taskora.testing.conformance._cases.workflow_crashes import NESTED
from taskora.testing.conformance._subject import Subject
from taskora.testing.conformance._workflows import World, fresh
from taskora.wire import Flow, ListWorkflows, create_workflow_once, sweep_workflows
from tests.conformance.storages import memory_storage
from tests.properties.budget import budget

LOOK_MS: Final = 30_000
ID: Final = "chosen"
ACTORS: Final = ("first producer", "second producer", "first sweeper", "second sweeper")
moves = st.one_of(
    st.sampled_from(ACTORS),
    st.sampled_from(ACTORS),
    st.just("time passes"),
    st.tuples(st.just("dies"), st.sampled_from(ACTORS)),
)


class Actor:
    """Somebody who does one operation at a time, and begins anew when all is done."""

    def __init__(self, world: World, name: str) -> None:
        self.world: Final = world
        self.is_producer: Final = "producer" in name
        self.finished = 0
        self._flow: Flow[Any] | None = None
        self._reply: Any = None

    async def step(self) -> None:
        """Does the next operation."""
        if self._flow is None:
            self._flow = create_workflow_once(ID, fresh(NESTED)) if self.is_producer else sweep_workflows()
            self._reply = None
        try:
            self._reply = await self.world.perform(self._flow.send(self._reply))
        except StopIteration:
            self.finished += 1
            self._flow = None

    def die(self) -> None:
        """Whatever was under way is not gone on with; somebody else comes to the place."""
        self._flow = None


async def _tell(history: Sequence[Any]) -> None:
    async with memory_storage() as storage:
        world = World(Subject(storage=storage, sync=None))
        actors = {name: Actor(world, name) for name in ACTORS}
        for move in history:
            if move == "time passes":
                world.subject.advance(LOOK_MS)
            elif isinstance(move, str):
                await actors[move].step()
            else:
                actors[move[1]].die()
        if not any(actor.finished for actor in actors.values() if actor.is_producer):
            await world.dispatch_once(ID, fresh(NESTED))
        elif (record := await world.record(ID)) is not None and record.state == "running":
            assert ID in await world.perform(ListWorkflows(ended=False, offset=0, limit=10))
        await world.recover()
        ended = await world.check_ended(ID)
        assert ended is not None
        assert (ended.state, ended.fields["result"]) == ("completed", b"12")


@budget()
@given(history=st.lists(moves, max_size=60))
def test_a_workflow_is_there_once_and_ends_right(history: Sequence[Any]) -> None:
    asyncio.run(_tell(history))


def test_a_slow_sweeper_does_not_forget_a_workflow_that_was_given_up_and_came_after_all() -> None:
    asyncio.run(
        _tell(
            [
                *["first producer"] * 2,  # looks, announces
                ("dies", "first producer"),
                "time passes",
                *["first sweeper"] * 3,  # takes it, looks, gives it up
                *["second producer"] * 9,  # sees that, announces again, creates
                "first sweeper",  # takes it off the list, or would
            ]
        )
    )
