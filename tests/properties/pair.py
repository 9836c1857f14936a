"""Memory and a real server, side by side: every operation goes to both, and after every step both hold the same.

A machine is made of mixins, one file per theme, which all inherit from `Pair`. To add an operation, write one rule that
gives it to `both`. If it makes memory store something new, `memory_side` says under which keys a server has that; if it
creates or removes jobs, `ledger` says which.
"""

from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import redis
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, Rule, RuleBasedStateMachine, RuleStrategy, initialize, invariant

from taskora.testing.conformance import StorageClock
from taskora.wire import FINAL_STATES, Cancel, Lease, Operation
from taskora.wire._operations import ReadMigrationLock
from taskora.wire.backends import MemoryBackend, open_sync_backend
from tests.properties import invariants
from tests.properties.image import Image, TaskView, differences
from tests.properties.ledger import Done, Ledger
from tests.properties.memory_side import MemorySide
from tests.properties.server_side import ServerSide
from tests.servers import Server

R = TypeVar("R")

TASKS = ("work", "mail")
WORKERS = ("ann", "bob", "cid")
MINUTE_MS = 60_000


class Name(NamedTuple):
    """A job that was dispatched."""

    task: str
    job_id: str


class Held(NamedTuple):
    """A claim that was given; it may be over."""

    task: str
    lease: Lease


jobs: Bundle[Name] = Bundle("jobs")
claims: Bundle[Held] = Bundle("claims")
tasks = st.sampled_from([TASKS[0], TASKS[0], TASKS[0], TASKS[1]])


# Preconditions have names: Hypothesis would look up the source of a lambda again and again.
def anything_waits(machine: "Pair") -> bool:
    """Whether a claim may find something, now or later."""
    return any(
        view.where("wait", "prioritized", "parked:freed", "parked", "delayed") for view in machine.views.values()
    )


def anything_runs(machine: "Pair") -> bool:
    """Whether a job is claimed."""
    return any(view.places["active"] for view in machine.views.values())


def anything_failed(machine: "Pair") -> bool:
    """Whether there is a dead letter."""
    return any(view.places["failed"] for view in machine.views.values())


def anything_ended(machine: "Pair") -> bool:
    """Whether there is something to remove."""
    return any(view.where(*FINAL_STATES) for view in machine.views.values())


class EveryRule(RuleStrategy):
    """Chooses among all rules that apply now.

    Hypothesis forbids each history some of the rules. Jobs pass through many hands here, so that few histories would
    carry one from its dispatch to its end; only every third history is held to a choice of rules.
    """

    def _rule_is_enabled(self, r: Rule) -> bool:
        base: Any = super()
        choose = base._rule_is_enabled if cast("Pair", self.machine).some_rules else self.is_valid
        return bool(choose(r))


class Pair(RuleBasedStateMachine):
    """Does everything twice."""

    used: ClassVar[set[type[Operation[Any]]]] = set()

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._raw: redis.Redis = server.client()
        self._raw.flushall()
        self.clock = StorageClock()
        memory = MemoryBackend(clock=self.clock)
        self.memory, self.redis = memory.blocking(), open_sync_backend(server.url, clock=self.clock)
        self.redis.run(ReadMigrationLock())  # says hello first; the machine wants to meet the keyspace itself
        self._raw.flushall()
        self._memory_side, self._server_side = MemorySide(memory, TASKS), ServerSide(self._raw, TASKS)
        self.sides = (self._memory_side, self._server_side)
        self.positions: dict[str, list[tuple[str, str]]] = {task: [("0-0", "0-0")] for task in TASKS}
        self.views = {task: TaskView({}, task) for task in TASKS}
        self.paced: set[str] = set()  # tasks whose last exchange may have left ready work to wait for its instant
        self.awake: set[str] = set()  # tasks of which a worker has consumed the token, and has not looked yet
        self.some_rules = False
        self.disturbed = False  # another program may take and leave slots
        self._cancelled: dict[str, set[str]] = {task: set() for task in TASKS}  # batches whose job was cancelled
        self._ledger = Ledger()
        self._done: list[Done] = []
        self._count = 0

        self._rules_strategy = EveryRule(self)

    @initialize(
        other_programs=st.sampled_from([False, False, False, True]), some_rules=st.sampled_from([False, False, True])
    )
    def begin(self, other_programs: bool, some_rules: bool) -> None:
        self.disturbed, self.some_rules = other_programs, some_rules

    def teardown(self) -> None:
        self.redis.close()
        self._server_side.close()
        self._raw.close()

    def both(self, operation: Operation[R]) -> R:
        """Carries out an operation on both sides; the replies must be equal."""
        self.used.add(type(operation))
        if not self._done:
            self._server_side.step_begins()
        expected, reply = self.redis.run(operation), self.memory.run(operation)
        assert reply == expected, f"{operation}: memory replies {reply}, a server {expected}"
        self._done.append((operation, reply))
        return reply

    def fresh(self, kind: str) -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"{kind}{self._count}"

    def step_clock(self, milliseconds: int) -> None:
        """Moves the time of both sides, forward or back."""
        self._memory_side.forget_ended()
        self.clock.advance(milliseconds)
        self._memory_side.forget_ended()
        self._server_side.pass_time(self.clock.now_ms())

    @invariant()
    def check(self) -> None:
        """Both hold the same, and it makes sense."""
        now_ms = self.clock.now_ms()
        memory = self._memory_side.image()
        server, news = self._server_side.look(now_ms, memory, {task: self.positions[task][-1][1] for task in TASKS})
        server = self._ledger.check_metrics(self._done, server, now_ms)
        unequal = differences(memory, server)
        assert not unequal, f"after {[operation for operation, _ in self._done]}\n{unequal}"
        published = self._memory_side.hear()
        assert self._server_side.hear(len(published)) == published
        for task, of_task in zip(TASKS, news, strict=True):
            self._compare_events(task, of_task)
            self._check_task(task, server, now_ms)
        self._done = []

    def _compare_events(self, task: str, on_server: list[list[Any]]) -> None:
        known = self.positions[task]
        in_memory = self._memory_side.events(task, len(known) - 1)
        said, happened = [flat for _, flat in in_memory], [flat for _, flat in on_server]
        assert said == happened, f"memory emits {said}, a server {happened}"
        places = zip(in_memory, on_server, strict=True)
        known += [(memory, position.decode()) for (memory, _), (position, _) in places]

    def _check_task(self, task: str, image: Image, now_ms: int) -> None:
        before, view = self.views[task], TaskView(image, task)
        self.views[task] = view
        for holds in invariants.ALWAYS:
            holds(view)
        if not self.disturbed:
            for holds in invariants.UNDISTURBED:
                holds(view)
        invariants.a_batch_has_a_job_that_will_run_it(view, self._cancelled_batches(before, view))
        invariants.ready_work_is_announced(view, paced=task in self.paced, awake=task in self.awake)
        self._ledger.check(task, self._done, before, view, now_ms)

    def _cancelled_batches(self, before: TaskView, after: TaskView) -> set[str]:
        known = self._cancelled[after.task]
        for operation, _ in self._done:
            if isinstance(operation, Cancel) and operation.task == after.task and operation.job_id in before.records:
                known.add(before.text(operation.job_id, "collectKey"))
        known &= invariants.open_batches(after)
        return known
