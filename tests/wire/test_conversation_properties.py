"""Whatever happens to a conversation, every caller gets its own reply or an error, and nobody waits for ever."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import hiredis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from taskora.wire.backends import _conversation
from taskora.wire.backends import _redis_errors as redis_errors
from taskora.wire.backends._conversation import Conversation
from taskora.wire.backends._requests import Request

MOST: Final = 6
# What ends a conversation is rare, or none would live long enough to be interesting.
RARELY: Final = st.sampled_from([False] * 14 + [True])
FAILURES: Final = (redis_errors.ConnectionError, redis_errors.TimeoutError)


class Clockwork(asyncio.SelectorEventLoop):
    """An event loop whose time passes when a test says so."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Runs what is ready, and all that becomes so."""
        for _ in range(5):
            self.stop()  # after one turn
            self.run_forever()


class Wire(asyncio.Transport):
    """What a conversation writes to; the test is at its other end."""

    def __init__(self, loop: Clockwork) -> None:
        super().__init__()
        self._loop = loop
        self._protocol: Any = asyncio.Protocol()
        self.written = hiredis.Reader()
        self.is_cut = False

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def write(self, data: Any) -> None:
        self.written.feed(data)

    def abort(self) -> None:
        self.cut(None)

    def cut(self, error: Exception | None) -> None:
        """The connection ends, as the event loop tells it: once, and a little later."""
        if not self.is_cut:
            self.is_cut = True
            self._loop.call_soon(self._protocol.connection_lost, error)


class Talk(RuleBasedStateMachine):
    """Callers who ask, give up and wait; a peer that answers in pieces, late, wrongly, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Clockwork()
        self.wire = Wire(self.loop)
        self.unanswered: deque[bytes] = deque()  # what the peer has read
        self.outgoing = b""  # what the peer has said, and has not arrived
        self.calls: dict[bytes, asyncio.Task[Any]] = {}
        self.cancelled: set[bytes] = set()
        self.is_paused = False
        self.conversation = self.loop.run_until_complete(self._begin())

    async def _begin(self) -> Conversation:
        connection: Any = SimpleNamespace(transport=self.wire, abort=self.wire.abort)
        return Conversation(connection)

    @rule(count=st.integers(1, 4), seconds=st.sampled_from([50.0, 90.0]))
    def ask(self, count: int, seconds: float) -> None:
        """Some callers ask in the same turn of the event loop."""
        for _ in range(count):
            word = b"%d" % len(self.calls)
            self.calls[word] = self.loop.create_task(self._call(Request(("ECHO", word), seconds)))
        self.loop.settle()

    async def _call(self, request: Request) -> Any:
        return await self.conversation.ask(request)

    @rule(choice=st.randoms(use_true_random=False))
    def cancel(self, choice: Any) -> None:
        """One who waits gives up."""
        waiting = [word for word, call in self.calls.items() if not call.done()]
        if waiting:
            word = choice.choice(waiting)
            self.calls[word].cancel()
            self.cancelled.add(word)
            self.loop.settle()

    @rule(kinds=st.lists(st.sampled_from(["word", "word", "error", "push"]), min_size=1, max_size=6))
    def answer(self, kinds: list[str]) -> None:
        """The peer answers the oldest requests, or says something that is no answer."""
        for kind in kinds:
            self._say(kind)

    @rule(really=RARELY)
    def become_replica(self, really: bool) -> None:
        """The peer refuses a request, since it changes roles."""
        if really:
            self._say("read only")

    def _say(self, kind: str) -> None:
        if kind == "push":
            self.outgoing += b">2\r\n+invalidate\r\n+x\r\n"
        elif self.unanswered:
            word = self.unanswered.popleft()
            said = {"word": b"$%d\r\n%b\r\n" % (len(word), word), "error": b"-ERR %b\r\n" % word}
            self.outgoing += said.get(kind, b"-READONLY %b\r\n" % word)

    @rule(count=st.integers(1, 90), all_of_it=st.booleans())
    def arrive(self, count: int, all_of_it: bool) -> None:
        """Some bytes of it arrive, wherever they end."""
        count = len(self.outgoing) if all_of_it else count
        data, self.outgoing = self.outgoing[:count], self.outgoing[count:]
        if data and not self.wire.is_cut:
            self.conversation.data_received(data)
            self.loop.settle()

    @rule(long=RARELY)
    def wait(self, long: bool) -> None:
        """Time passes."""
        self.loop.now += 40.0 if long else 0.3
        self.loop.settle()

    @rule(is_paused=st.sampled_from([False, False, True]))
    def pause(self, is_paused: bool) -> None:
        """The socket takes no more, or does again."""
        self.is_paused = is_paused
        change: Callable[[], None] = (
            self.conversation.pause_writing if self.is_paused else self.conversation.resume_writing
        )
        change()
        self.loop.settle()

    @rule(really=RARELY)
    def retire(self, really: bool) -> None:
        """Nobody shall ask here any more."""
        if really:
            self.conversation.retire()
        self.loop.settle()

    @rule(really=RARELY, garbage=st.sampled_from([b"", b"+who asked\r\n", b"HTTP/1.1\r\n"]))
    def cut(self, really: bool, garbage: bytes) -> None:
        """The peer hangs up, or says what nobody asked for."""
        if not really:
            return
        if self.outgoing or self.unanswered or not garbage:
            self.wire.cut(ConnectionResetError("reset"))
        elif not self.wire.is_cut:
            self.conversation.data_received(garbage)
        self.loop.settle()

    @invariant()
    def the_peer_reads(self) -> None:
        """What was written arrives whole and in order, and no more of it than may be under way."""
        while (command := self.wire.written.gets()) is not False:
            self.unanswered.append(command[-1])
        assert self.wire.is_cut or len(self.conversation._asked) <= MOST

    @invariant()
    def everybody_gets_what_is_theirs(self) -> None:
        """A reply names its request; an error may be that of the connection."""
        for word, call in self.calls.items():
            if not call.done() or call.cancelled():
                assert call.done() <= (word in self.cancelled)
                continue
            error = call.exception()
            if error is None:
                assert call.result() == word
            elif isinstance(error, redis_errors.ResponseError):
                assert str(error).split()[-1].encode() == word
            else:
                assert isinstance(error, FAILURES)

    def teardown(self) -> None:
        """Nobody is left waiting: the time of all is over at last, or the connection ends."""
        if self.is_paused:
            self.conversation.resume_writing()
        for _ in range(50):
            if all(call.done() for call in self.calls.values()):
                break
            self.loop.now += 60.0
            self.loop.settle()
            self.the_peer_reads()
        assert all(call.done() for call in self.calls.values())
        self.everybody_gets_what_is_theirs()
        self.loop.run_until_complete(self.conversation.close(redis_errors.ConnectionError("over")))
        for call in self.calls.values():
            if not call.cancelled():
                call.exception()
        self.loop.close()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_conversation, "MOST_REQUESTS", MOST)


TestTalk = Talk.TestCase
TestTalk.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
