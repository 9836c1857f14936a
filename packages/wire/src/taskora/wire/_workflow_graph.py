"""The graph of a workflow: its steps, what each waits for, and what each is given.

What is written is the JSON that all programs share. Beside it stands a line per step, the plan, which only we read. It
spares the scripts from reading a large graph, and holds what the JSON has no place for: how inputs are put together,
and which step spawned another.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, cast

from taskora.contracts import BackendError
from taskora.contracts.records import record

_NOTHING: Final = "-"
_NUMBER: Final = re.compile(rb"\d+")


class DamagedWorkflowError(BackendError):
    """The record of a workflow cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_permanent=True)


@record
class WorkflowStep:
    """One node of the graph.

    Attributes:
        task: Name of its task.
        deps: The steps whose results it waits for.
        job_id: Id of its job, chosen beforehand.
        version: Payload version.
        data: Its encoded input; None if it is made of results.
        shape: How it is made: the number of a step stands for its result, as in `[[0,1],2]`. None for the usual way.
        parent: The step that spawned it; None for one that was there from the start.
    """

    task: str
    deps: tuple[int, ...]
    job_id: str
    version: int
    data: bytes | None = None
    shape: str | None = None
    parent: int | None = None

    @property
    def input_shape(self) -> str:
        """How the input is made, the usual way included."""
        if self.shape is not None:
            return self.shape
        return str(self.deps[0]) if len(self.deps) == 1 else f"[{_joined(self.deps)}]"

    def input(self, result_of: Callable[[int], bytes]) -> bytes:
        """The encoded input, made of results where it has no data of its own. An empty result counts as null."""
        if self.data is not None:
            return self.data
        return put_together(self.input_shape, result_of)


def put_together(shape: str, result_of: Callable[[int], bytes]) -> bytes:
    """A shape with encoded results in place of the numbers of steps. An empty result counts as null."""
    return _NUMBER.sub(lambda match: result_of(int(match[0])) or b"null", shape.encode())


@record
class WorkflowGraph:
    """All steps, by number; `terminal` are those whose results are the workflow's.

    `shape` says how its result is made, as that of a step says it of an input; None for the usual way.
    """

    steps: tuple[WorkflowStep, ...]
    terminal: tuple[int, ...]
    name: str
    shape: str | None = None

    @property
    def result_shape(self) -> str:
        """How the result is made, the usual way included."""
        return self.shape if self.shape is not None else self._usual_shape

    @property
    def _usual_shape(self) -> str:
        return str(self.terminal[0]) if len(self.terminal) == 1 else f"[{_joined(self.terminal)}]"

    @property
    def roots(self) -> Iterator[int]:
        """The steps that wait for nothing."""
        return (number for number, step in enumerate(self.steps) if not step.deps)

    @property
    def terminal_line(self) -> str:
        """The terminal steps as they are stored beside the graph."""
        return _joined(self.terminal)

    @property
    def followers(self) -> list[list[int]]:
        """The steps that wait for each step."""
        followers: list[list[int]] = [[] for _ in self.steps]
        for number, step in enumerate(self.steps):
            for dep in step.deps:
                followers[dep].append(number)
        return followers

    def plans(self) -> list[str]:
        """A line per step, as it is stored beside the graph."""
        return [_plan(step, following) for step, following in zip(self.steps, self.followers, strict=True)]

    def encode(self) -> bytes:
        """The JSON text of the graph."""
        nodes = [_node(step) for step in self.steps]
        body: dict[str, object] = {"nodes": nodes, "terminal": list(self.terminal), "name": self.name}
        if self.result_shape != self._usual_shape:
            body["py:result"] = self.result_shape
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def difference(ours: WorkflowGraph, stored: WorkflowGraph) -> str | None:
    """In what a stored workflow is another one, for people; None if it is the same, apart from names and ids of jobs.

    Steps that were spawned since do not count.
    """
    steps = [step for step in stored.steps if step.parent is None]
    if len(steps) != len(ours.steps):
        return f"{len(steps)} steps and not {len(ours.steps)}"
    for number, (mine, theirs) in enumerate(zip(ours.steps, steps, strict=True)):
        found = _step_difference(mine, theirs)
        if found is not None:
            return f"as step {number} {found}"
    same = (ours.terminal, ours.result_shape) == (stored.terminal, stored.result_shape)
    return None if same else "a result that is put together in another way"


def _step_difference(ours: WorkflowStep, stored: WorkflowStep) -> str | None:
    if stored.task != ours.task:
        return f"a job of task {stored.task!r} and not {ours.task!r}"
    if stored.version != ours.version:
        return f"a job of task {ours.task!r} with version {stored.version} and not {ours.version}"
    if stored.deps != ours.deps:
        return f"a job of task {ours.task!r} that waits for other steps"
    if (stored.data is None) != (ours.data is None) or (ours.data is None and stored.input_shape != ours.input_shape):
        return f"a job of task {ours.task!r} with input from elsewhere"
    if ours.data is not None and stored.data is not None and not _is_same(ours.data, stored.data):
        return f"a job of task {ours.task!r} with other data"
    return None


def _is_same(ours: bytes, stored: bytes) -> bool:
    """Whether two encoded inputs mean the same; members of an object have no order."""
    return ours == stored or bool(json.loads(ours) == json.loads(stored))


def numbers_of(line: str) -> tuple[int, ...]:
    """The numbers of a stored list."""
    return tuple(int(number) for number in line.split(",") if number)


@record
class AttemptPlan:
    """What one attempt of a step has spawned: the steps from `first` to `last`, and those among them that come last.

    `token` is that of its claim. `outputs` are numbers, joined by commas.
    """

    token: str
    first: int
    last: int
    outputs: str

    def encode(self) -> str:
        """As it is stored, one after the other."""
        return f"{self.token} {self.first} {self.last} {self.outputs};"


def plans_of(line: str) -> list[AttemptPlan]:
    """The plans of all attempts of a step."""
    rows = (row.split(" ") for row in line.split(";") if row)
    return [
        AttemptPlan(token=token, first=int(first), last=int(last), outputs=outputs)
        for token, first, last, outputs in rows
    ]


def _plan(step: WorkflowStep, followers: Sequence[int]) -> str:
    shape = _NOTHING if step.data is not None else step.input_shape
    parent = _NOTHING if step.parent is None else str(step.parent)
    deps, following = _joined(step.deps) or _NOTHING, _joined(followers) or _NOTHING
    return f"{step.job_id} {step.version} {deps} {following} {shape} {parent} {step.task}"


def _joined(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _node(step: WorkflowStep) -> dict[str, object]:
    node: dict[str, object] = {"taskName": step.task, "deps": list(step.deps), "jobId": step.job_id, "_v": step.version}
    if step.data is not None:
        node["data"] = step.data.decode()
    return node


def decode_graph(raw: bytes, plans: Sequence[str | None] = ()) -> WorkflowGraph:
    """Reads a graph, with its plans as far as there are any.

    Raises:
        DamagedWorkflowError: it is none.
    """
    try:
        body = json.loads(raw)
        lines = (*plans, *(None for _ in body["nodes"][len(plans) :]))
        steps = tuple(_step(node, plan) for node, plan in zip(body["nodes"], lines, strict=True))
        terminal = tuple(int(number) for number in body["terminal"])
        shape = body.get("py:result")
        return WorkflowGraph(
            steps=steps,
            terminal=terminal,
            name=str(body.get("name", "")),
            shape=shape if isinstance(shape, str) else None,
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise DamagedWorkflowError(f"the graph of a workflow is damaged ({type(error).__name__}: {error})") from error


def _step(node: dict[str, Any], plan: str | None) -> WorkflowStep:
    data = node.get("data")
    shape, parent = _NOTHING, _NOTHING
    if plan is not None:
        _, _, _, _, shape, parent, _ = plan.split(" ", 6)
    return WorkflowStep(
        task=cast("str", node["taskName"]),
        deps=tuple(int(dep) for dep in node["deps"]),
        job_id=cast("str", node["jobId"]),
        version=int(node["_v"]),
        data=data.encode() if isinstance(data, str) else None,
        shape=None if shape == _NOTHING else shape,
        parent=None if parent == _NOTHING else int(parent),
    )
