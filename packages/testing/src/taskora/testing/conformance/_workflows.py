"""A small world that runs workflows and may come to a sudden end before any operation."""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from taskora.contracts import JobState
from taskora.testing.conformance._subject import LEASE_MS, Subject
from taskora.wire import (
    Claim,
    CountJobs,
    EndedStep,
    Exchange,
    Flow,
    ListWorkflows,
    Operation,
    Outcome,
    OutcomeKind,
    Prune,
    ReadStatuses,
    ReadUntold,
    RecoverStalled,
    Settlement,
    Spawn,
    WorkflowGraph,
    WorkflowRecord,
    WorkflowStep,
    create_workflow,
    create_workflow_once,
    drive_async,
    read_workflow,
    settle_steps,
    spawn_steps,
    sweep_untold,
    sweep_workflows,
)

R = TypeVar("R")

TASKS: Final = ("one", "two", "total", "fail", "spawn")
_ROUNDS: Final = 6
_names: Final = itertools.count()


class CrashError(BaseException):
    """The process is gone: nothing of it goes on."""


class FailingError(Exception):
    """A handler's own error."""


def step(task: str, *deps: int, data: object = None, shape: str | None = None) -> WorkflowStep:
    """A step; without dependencies it has data."""
    raw = json.dumps(data).encode() if data is not None or not deps else None
    return WorkflowStep(task=task, deps=deps, job_id=f"job-{next(_names)}", version=1, data=raw, shape=shape)


def graph(*steps: WorkflowStep, terminal: Sequence[int] | None = None) -> WorkflowGraph:
    """A graph whose last step is the result, unless others are named."""
    return WorkflowGraph(steps=steps, terminal=(len(steps) - 1,) if terminal is None else tuple(terminal), name="test")


def fresh(template: WorkflowGraph) -> WorkflowGraph:
    """The same graph with other jobs."""
    steps = tuple(replace(each, job_id=f"job-{next(_names)}") for each in template.steps)
    return replace(template, steps=steps)


Spawning = Callable[[], Sequence[WorkflowGraph]]


class World:
    """Producers, workers and sweepers of one storage, one operation after the other."""

    def __init__(self, subject: Subject) -> None:
        self.subject: Final = subject
        self.operations_left: int | None = None
        self.failing: set[str] = set()
        self.spawning: Spawning = tuple
        self.spawns = True
        self.during: dict[str, Callable[[], Any]] = {}
        self.dispatched: list[str] = []
        self.runs: dict[tuple[str, int], set[str]] = defaultdict(set)

    async def perform(self, operation: Operation[R]) -> R:
        """Carries out one operation, unless the end comes first."""
        if self.operations_left is not None:
            if self.operations_left == 0:
                self.operations_left = None
                raise CrashError
            self.operations_left -= 1
        return await self.subject.run(operation)

    async def drive(self, flow: Flow[R]) -> R:
        """Runs a flow."""
        return await drive_async(flow, self.perform)

    async def dispatch(self, workflow: WorkflowGraph, *, ttl_ms: int = 0) -> str:
        """Starts a workflow."""
        workflow_id = f"workflow-{next(_names)}"
        self.dispatched.append(workflow_id)
        await self.drive(create_workflow(workflow_id, workflow, ttl_ms))
        return workflow_id

    async def dispatch_once(self, workflow_id: str, workflow: WorkflowGraph) -> None:
        """Starts a workflow under an id, unless it is there."""
        await self.drive(create_workflow_once(workflow_id, workflow))

    async def work(self, *tasks: str) -> None:
        """A worker that runs all that there is to run, job by job."""
        while any([await self._work_once(task) for task in tasks or TASKS]):
            continue

    async def _work_once(self, task: str) -> bool:
        token = f"token-{next(_names)}"
        reply = await self.perform(Exchange(task=task, token=token, lease_ms=LEASE_MS, slots=1))
        for claim in reply.claims:
            await self.run_job(task, claim)
        return bool(reply.claims)

    async def claim(self, task: str) -> Claim:
        """Takes one job, and does not run it yet."""
        exchange = Exchange(task=task, token=f"token-{next(_names)}", lease_ms=LEASE_MS, slots=1)
        (claim,) = (await self.perform(exchange)).claims
        return claim

    async def run_job(self, task: str, claim: Claim) -> None:
        """Runs a claimed job, stores its outcome, and tells its workflow."""
        assert claim.link is not None
        self.runs[claim.link.workflow_id, claim.link.step].add(claim.job_id)
        try:
            payload = json.dumps(await self._handle(task, claim)).encode()
            kind = OutcomeKind.COMPLETED
        except FailingError as error:
            payload, kind = str(error).encode(), OutcomeKind.FAILED
        if await self.settle(task, claim, payload, kind) is Settlement.SETTLED:
            await self.tell(task, claim, kind, payload)

    async def settle(
        self, task: str, claim: Claim, payload: bytes, kind: OutcomeKind = OutcomeKind.COMPLETED
    ) -> Settlement:
        """Stores how an attempt ended."""
        outcome = Outcome(kind=kind, job_id=claim.job_id, token=claim.token, payload=payload)
        settling = Exchange(task=task, token=f"token-{next(_names)}", lease_ms=LEASE_MS, slots=0, outcomes=(outcome,))
        (settlement,) = (await self.perform(settling)).settlements
        return settlement

    async def tell(self, task: str, claim: Claim, kind: OutcomeKind, payload: bytes) -> None:
        """What a worker does once an outcome is stored."""
        is_result = kind is OutcomeKind.COMPLETED
        ended = EndedStep(
            task=task,
            job_id=claim.job_id,
            link=claim.link,
            state=JobState(kind.value),
            result=payload if is_result else b"",
            error="" if is_result else payload.decode(),
            settled_by=claim.token,
        )
        assert await self.drive(settle_steps([ended])) == ()

    async def _handle(self, task: str, claim: Claim) -> object:
        data = json.loads(claim.data)
        if task in self.during:
            await self.during[task]()
        if task in self.failing:
            raise FailingError(f"{task} broke")
        if task == "spawn":
            assert claim.link is not None
            if self.spawns:
                await self.spawn(claim)
        if task == "total":
            return sum(_flat(data))
        return data * 2 if task == "two" else data

    async def spawn(self, claim: Claim) -> bool:
        """What a worker does before it stores the result of a handler that has spawned something."""
        assert claim.link is not None
        spawn = Spawn(step=claim.link.step, job_id=claim.job_id, token=claim.token, parts=self.spawning())
        while (replies := await self.drive(spawn_steps(claim.link.workflow_id, [spawn]))) is None:
            continue
        (reply,) = replies
        assert isinstance(reply, bool)
        return reply

    async def recover(self) -> None:
        """Everybody who was there is gone; leases end, and others sweep and work, for as long as it takes."""
        for _ in range(_ROUNDS):
            self.subject.advance(LEASE_MS)
            for task in TASKS:
                await self.perform(Prune(task=task, state=JobState.COMPLETED, max_age_ms=None, max_items=0))
                for _phase in range(2):
                    await self.perform(RecoverStalled(task=task, max_count=1000))
                await self.drive(sweep_untold(task))
            await self.drive(sweep_workflows())
            await self.work()
            if await self._is_quiet():
                return

    async def _is_quiet(self) -> bool:
        if await self.perform(ListWorkflows(ended=False, offset=0, limit=1)):
            return False
        for task in TASKS:
            counts = await self.perform(CountJobs(task=task))
            untold = await self.perform(ReadUntold(task=task, min_age_ms=0, limit=1))
            if counts.active or counts.waiting or untold:
                return False
        return True

    async def record(self, workflow_id: str) -> WorkflowRecord | None:
        """What is stored of a workflow."""
        return await self.drive(read_workflow(workflow_id))

    async def check_ended(self, workflow_id: str) -> WorkflowRecord | None:
        """Nothing of a workflow is left undone, and no step had two jobs; None for one that never began."""
        assert workflow_id not in await self.perform(ListWorkflows(ended=False, offset=0, limit=1000))
        for task in TASKS:
            assert await self.perform(ReadUntold(task=task, min_age_ms=0, limit=100)) == ()
        assert [jobs for (workflow, _), jobs in self.runs.items() if workflow == workflow_id and len(jobs) > 1] == []
        record = await self.record(workflow_id)
        if record is None:
            assert not any(workflow == workflow_id for workflow, _ in self.runs)
            return None
        for planned in record.graph.steps:
            (status,) = await self.perform(ReadStatuses(task=planned.task, job_ids=(planned.job_id,)))
            assert status is None or status.state.is_terminal
        return record


def _flat(value: object) -> list[int]:
    if isinstance(value, list):
        return [number for item in cast("list[object]", value) for number in _flat(item)]
    return [int(str(value))]
