"""One workflow in memory, and several who do something to it at once, one operation after the other.

Who is stopped between two operations may go on much later, or never. After every operation it is checked that a
workflow that runs is on the list of those that do, and that no job is claimed that its workflow does not want.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, TypeVar

from taskora.contracts import JobState
from taskora.testing.conformance import StorageClock
from taskora.wire import (
    Claim,
    EndedStep,
    Exchange,
    Flow,
    Operation,
    Outcome,
    OutcomeKind,
    RecoverStalled,
    WorkflowGraph,
    WorkflowRecord,
    WorkflowStep,
    create_workflow,
    drive,
    read_workflow,
    settle_steps,
    sweep_untold,
    sweep_workflows,
)
from taskora.wire.backends import MemoryBackend

R = TypeVar("R")

ID: Final = "w1"
TASKS: Final = ("quick", "slow", "fail", "total")
LEASE_MS: Final = 60_000
_ROUNDS: Final = 8

# Two that fail, one that runs while that happens, one that waits, and one that waits for all of them.
GRAPH: Final = WorkflowGraph(
    steps=(
        WorkflowStep(task="quick", deps=(), job_id="j0", version=1, data=b"1"),
        WorkflowStep(task="fail", deps=(), job_id="j1", version=1, data=b"2"),
        WorkflowStep(task="fail", deps=(), job_id="j2", version=1, data=b"3"),
        WorkflowStep(task="slow", deps=(), job_id="j3", version=1, data=b"4"),
        WorkflowStep(task="slow", deps=(0,), job_id="j4", version=1),
        WorkflowStep(task="total", deps=(1, 2, 3, 4), job_id="j5", version=1, shape="[1,2,3,4]"),
    ),
    terminal=(5,),
    name="raced",
)
RESULT: Final = b"[2,3,4,1]"


class Actor:
    """Who goes through a flow step by step."""

    def __init__(self, world: "World", flow: Flow[Any]) -> None:
        self._world: Final = world
        self._flow: Final = flow
        self._next: Any = None
        self._has_begun = False
        self.is_done = False
        self.reply: Any = None

    def go(self, operations: int | None = None, *, loses_replies: bool = False) -> int:
        """Carries out so many operations, or all; tells how many there were.

        Who loses replies sends every request again, as a client does whose connection broke.
        """
        done = 0
        while not self.is_done and (operations is None or done < operations):
            try:
                if not self._has_begun:
                    self._has_begun, self._next = True, next(self._flow)
                operation = self._next
                reply = self._world.perform(operation)
                if loses_replies:
                    reply = self._world.perform(operation.again())
                done += 1
                self._next = self._flow.send(reply)
            except StopIteration as end:
                self.is_done, self.reply = True, end.value
        return done

    def rest(self) -> Flow[Any]:
        """What is left of the flow, for another to go through."""
        step = self._next
        while True:
            reply = yield step
            try:
                step = self._flow.send(reply)
            except StopIteration as end:
                return end.value


class World:
    """A storage with one workflow, its workers and sweepers."""

    def __init__(self) -> None:
        self.clock: Final = StorageClock()
        self._backend: Final = MemoryBackend(clock=self.clock)
        self._store: Final = self._backend._store
        self.broken = True
        self.reopened = 0
        self._was_running = False
        self._runs: Counter[tuple[str, int]] = Counter()
        self._tokens = iter(range(1_000_000))

    def perform(self, operation: Operation[R]) -> R:
        """Carries out one operation."""
        reply = self._store.execute(operation)
        self._check()
        return reply

    def drive(self, flow: Flow[R]) -> R:
        """Goes through a flow to its end."""
        return drive(flow, self.perform)

    def actor(self, flow: Flow[Any]) -> Actor:
        """Somebody who is about to begin a flow."""
        return Actor(self, flow)

    def record(self) -> WorkflowRecord:
        """The workflow as it is."""
        record = drive(read_workflow(ID), self._store.execute)
        assert record is not None
        return record

    def _check(self) -> None:
        stored = self._store._workflows._stored.get(ID)
        is_running = stored is not None and stored.fields.get("state") == b"running"
        if is_running:
            assert ID in self._store._workflows.running, "a workflow runs, and nobody will look at it"
        self.reopened += is_running and not self._was_running
        self._was_running = is_running

    def dispatch(self, ttl_ms: int = 0) -> None:
        """Starts the workflow."""
        self.drive(create_workflow(ID, GRAPH, ttl_ms))
        self.reopened = 0

    def claim(self, task: str) -> Claim | None:
        """Takes a job; one that its workflow does not want any more is never given out."""
        token = f"token-{next(self._tokens)}"
        claims = self.perform(Exchange(task=task, token=token, lease_ms=LEASE_MS, slots=1)).claims
        if not claims:
            return None
        (claim,) = claims
        assert claim.link is not None
        record = self.record()
        if record.state == "running":
            assert record.is_job_of(claim.link.step, claim.job_id), f"{claim.job_id} is of an earlier try"
        return claim

    def begin(self, claim: Claim) -> None:
        """A handler begins; nobody's does so twice in one life of a job."""
        lived_in = int(self._store.task(self._task_of(claim)).jobs[claim.job_id].get("py:try", b"0"))
        self._runs[claim.job_id, lived_in] += 1
        assert self._runs[claim.job_id, lived_in] == 1, f"{claim.job_id} runs twice in try {lived_in}"

    def _task_of(self, claim: Claim) -> str:
        assert claim.link is not None
        return GRAPH.steps[claim.link.step].task

    def settle(self, claim: Claim) -> EndedStep:
        """Stores the outcome of a job; its workflow is still to be told."""
        task = self._task_of(claim)
        is_failed = task == "fail" and self.broken
        outcome = Outcome(
            kind=OutcomeKind.FAILED if is_failed else OutcomeKind.COMPLETED,
            job_id=claim.job_id,
            token=claim.token,
            payload=b"boom" if is_failed else claim.data,
        )
        token = f"token-{next(self._tokens)}"
        self.perform(Exchange(task=task, token=token, lease_ms=LEASE_MS, slots=0, outcomes=(outcome,)))
        return EndedStep(
            task=task,
            job_id=claim.job_id,
            link=claim.link,
            state=JobState.FAILED if is_failed else JobState.COMPLETED,
            result=b"" if is_failed else claim.data,
            error="boom" if is_failed else "",
        )

    def work(self) -> None:
        """Runs all that there is to run."""
        while sum(self._work_once(task) for task in TASKS):
            continue

    def _work_once(self, task: str) -> bool:
        claim = self.claim(task)
        if claim is None:
            return False
        self.begin(claim)
        self.drive(settle_steps([self.settle(claim)]))
        return True

    def sweep(self) -> None:
        """Time passes, and what others left behind is looked for."""
        self.clock.advance(LEASE_MS)
        for task in TASKS:
            for _ in range(2):
                self.perform(RecoverStalled(task=task, max_count=1000))
            assert self.drive(sweep_untold(task)) == ()
        assert self.drive(sweep_workflows()) == ()

    def recover(self) -> WorkflowRecord:
        """Everybody who was there is gone; others sweep and work until nothing is left, which is checked."""
        for _ in range(_ROUNDS):
            self.sweep()
            self.work()
            if not [*self._unfinished()]:
                break
        assert [*self._unfinished()] == []
        return self.record()

    def _unfinished(self) -> Iterator[str]:
        workflows = self._store._workflows
        if len(workflows.running):
            yield "a workflow is to be looked at"
        if workflows.tries:
            yield "a try is announced"
        if ID not in workflows.ended:
            yield "the workflow is not listed"
        for task in TASKS:
            stored = self._store.task(task)
            yield from (f"{job_id} is not told" for job_id in stored.untold)
            yield from (f"{job_id} runs" for job_id in stored.active)
            yield from (f"{job_id} waits" for job_id in stored.waiting)
        yield from self._dead_of_a_completed_workflow()

    def _dead_of_a_completed_workflow(self) -> Iterator[str]:
        record = self.record()
        if record.state == "completed":
            assert json.loads(record.fields["result"]) == json.loads(RESULT)
            for step in record.graph.steps:
                if step.job_id in self._store.task(step.task).finished[JobState.FAILED]:
                    yield f"{step.job_id} is dead, and its step has completed"


# Where the workflow stands when the race begins.


def failed_and_not_told() -> tuple[World, list[EndedStep], Claim]:
    """Two steps have failed, and their workflow does not know; another runs. What ails them is over."""
    world = World()
    world.dispatch()
    _run_one(world, "quick")
    failures = [_fail_one(world) for _ in range(2)]
    running = world.claim("slow")
    assert running is not None
    world.begin(running)
    world.broken = False
    return world, failures, running


def _run_one(world: World, task: str) -> None:
    claim = world.claim(task)
    assert claim is not None
    world.begin(claim)
    world.drive(settle_steps([world.settle(claim)]))


def _fail_one(world: World) -> EndedStep:
    claim = world.claim("fail")
    assert claim is not None
    world.begin(claim)
    return world.settle(claim)
