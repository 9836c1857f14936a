"""From a signature to the graph that is stored, and to how its result is read."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from taskora.contracts import (
    Chain,
    Chord,
    Group,
    Signature,
    Step,
    TaskContract,
    UsageError,
    ValidationError,
    group,
    is_signature,
)
from taskora.contracts.records import record, replace
from taskora.producer._dispatching import DispatchRules, encode_payload, is_integer
from taskora.producer._payload import PayloadCodec, Payloads
from taskora.wire import WorkflowGraph, WorkflowStep, put_together, random_id

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

MAX_LINKS: Final = 250_000
"""How many inputs the steps of a workflow may have in all: a group after a group has many."""

_LONGEST_NAME: Final = 200
_ARROW: Final = " \u2192 "


@record(kw_only=False)
class OneOutput:
    """The output of one step."""

    step: int
    codec: PayloadCodec[Any]

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that are read."""
        return (self.step,)

    @property
    def shape(self) -> str:
        """How a step after this one is given the output."""
        return str(self.step)

    def read(self, workflow_id: str, results: Mapping[int, bytes]) -> object:
        """The output, from the encoded results by step."""
        try:
            return self.codec.decode(results[self.step])
        except ValidationError as error:
            subject = f"output of step {self.step} of workflow {workflow_id}, a job"
            raise ValidationError(issues=error.issues, task=error.task, subject=subject) from error.__cause__


@record(kw_only=False)
class ManyOutputs:
    """The outputs of a group's members, in order."""

    parts: "tuple[Output, ...]"
    is_tuple: bool = False

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that are read."""
        return tuple(step for part in self.parts for step in part.steps)

    @property
    def shape(self) -> str:
        """How a step after these is given the outputs."""
        return f"[{','.join(part.shape for part in self.parts)}]"

    def read(self, workflow_id: str, results: Mapping[int, bytes]) -> object:
        """The outputs, from the encoded results by step."""
        parts = [part.read(workflow_id, results) for part in self.parts]
        return tuple(parts) if self.is_tuple else parts


@record(kw_only=False)
class WholeOutput:
    """The output of a workflow that was dispatched elsewhere, of one declared type."""

    graph: WorkflowGraph
    codec: PayloadCodec[Any]

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that are read."""
        return tuple(map(int, re.findall(r"\d+", self.shape)))

    @property
    def shape(self) -> str:
        """How the output is made of results."""
        return self.graph.result_shape

    def read(self, workflow_id: str, results: Mapping[int, bytes]) -> object:
        """The output, from the encoded results by step."""
        try:
            return self.codec.decode(put_together(self.shape, results.__getitem__))
        except ValidationError as error:
            raise ValidationError(issues=error.issues, subject=f"result of workflow {workflow_id}") from error.__cause__


Output: TypeAlias = OneOutput | ManyOutputs


@record(kw_only=False)
class Plan:
    """What is stored of a workflow, and how its result is read."""

    graph: WorkflowGraph
    output: Output | WholeOutput


def plan_workflow(
    signature: Signature[Any, Any],
    payloads_of: Callable[[TaskContract[Any, Any]], Payloads[Any, Any]],
    rules: DispatchRules,
    *,
    name: str | None = None,
    is_spawned: bool = False,
) -> Plan:
    """Numbers the steps, encodes their data, and chooses the ids of their jobs.

    The first steps of a part that is spawned may be unbound: they are given the output of the step that spawns it.

    Raises:
        UsageError: a first step has no data, there are too many links, or a task cannot be part of a workflow.
        ValidationError: data does not fit its contract.
    """
    if not is_signature(signature):
        raise UsageError.for_field("signature", signature, "what contract.s(...), chain, group or chord made")
    builder = _Builder(payloads_of, rules, is_spawned=is_spawned)
    output = builder.add(signature, None)
    graph = WorkflowGraph(
        steps=tuple(builder.steps),
        terminal=output.steps,
        name=_shortened(_checked_name(name) or workflow_name(signature)),
        shape=output.shape,
    )
    return Plan(graph, output)


def plan_batches(plan: Plan, payloads: Payloads[Any, Any]) -> Plan:
    """The same workflow, whose result is everything that its steps gave, in order."""
    output = ManyOutputs(tuple(OneOutput(number, payloads.output) for number in range(len(plan.graph.steps))))
    return Plan(replace(plan.graph, shape=output.shape), output)


def one_by_one(contract: TaskContract[I, O], items: Iterable[I]) -> Group[object, list[O]]:
    """A group with a step per item.

    Raises:
        UsageError: there are no items, or too many.
    """
    steps = [contract.s(item) for item in items]
    if not steps:
        raise UsageError(f"there are no items to run task {contract.name!r} with")
    return group(steps)


def in_batches(contract: TaskContract[I, O], items: Iterable[I], size: int) -> Signature[object, list[O]]:
    """Groups of steps, one after the other; one group alone if all items fit into it.

    Raises:
        UsageError: there are no items, or too many; or the size is none.
    """
    if not is_integer(size) or size < 1:
        raise UsageError.for_field("size", size, "an integer, 1 or more")
    steps = one_by_one(contract, items).members
    groups = [Group[object, list[O]](steps[start : start + size]) for start in range(0, len(steps), size)]
    return groups[0] if len(groups) == 1 else Chain(tuple(groups))


class _Builder:
    """Walks a signature depth first; a step gets the next number."""

    def __init__(
        self,
        payloads_of: Callable[[TaskContract[Any, Any]], Payloads[Any, Any]],
        rules: DispatchRules,
        *,
        is_spawned: bool,
    ) -> None:
        self.steps: list[WorkflowStep] = []
        self._payloads_of: Final = payloads_of
        self._rules: Final = rules
        self._is_spawned: Final = is_spawned
        self._links = 0

    def add(self, signature: Signature[Any, Any], given: Output | None) -> Output:
        """Adds what a signature consists of; `given` is what the steps before it put out."""
        if isinstance(signature, Step):
            return self._add_step(signature, given)
        if isinstance(signature, Chain):
            for part in signature.steps:
                given = self.add(part, given)
            assert given is not None
            return given
        if isinstance(signature, Group):
            return ManyOutputs(tuple(self.add(member, given) for member in signature.members), signature.is_tuple)
        if isinstance(signature, Chord):
            return self.add(signature.callback, self.add(signature.header, given))
        raise UsageError.for_field("signature", signature, "what contract.s(...), chain, group or chord made")

    def _add_step(self, step: Step[Any, Any], given: Output | None) -> Output:
        contract = step.contract
        if contract.collect is not None:
            raise UsageError(f"task {contract.name!r} collects: its jobs cannot be steps of a workflow")
        if given is None and not step.is_bound and not self._is_spawned:
            raise UsageError(
                f"the first step of a workflow needs data, {contract.name!r} has none: write .s(data), or .s(None)"
            )
        deps = () if given is None else given.steps
        self._links += len(deps)
        if self._links > MAX_LINKS:
            raise UsageError(
                f"a workflow may have at most {MAX_LINKS} links between steps: "
                "put one step that takes the whole list between two groups"
            )
        payloads = self._payloads_of(contract)
        self.steps.append(
            WorkflowStep(
                task=contract.name,
                deps=deps,
                job_id=random_id(),
                version=contract.version,
                data=self._encoded(step, payloads) if step.is_bound else None,
                shape=None if given is None or step.is_bound else given.shape,
            )
        )
        return OneOutput(len(self.steps) - 1, payloads.output)

    def _encoded(self, step: Step[Any, Any], payloads: Payloads[Any, Any]) -> bytes:
        checked = self._rules.validate and step.contract.validates_input
        try:
            return encode_payload(step.contract, payloads, self._rules, step.data, checked=checked)
        except (UsageError, ValidationError) as error:
            error.add_note(f"step {len(self.steps)} of the workflow")
            raise


def workflow_name(signature: Signature[Any, Any]) -> str:
    """What a workflow is called that nobody gave a name: its tasks, in the way they are put together."""
    if isinstance(signature, Step):
        return signature.contract.name
    if isinstance(signature, Chain):
        return f"chain({_joined(_ARROW, signature.steps)})"
    if isinstance(signature, Group):
        return f"group({_joined(', ', signature.members)})"
    assert isinstance(signature, Chord)
    return f"chord({_joined(', ', signature.header.members)}{_ARROW}{workflow_name(signature.callback)})"


def _checked_name(name: object) -> str:
    if name is None:
        return ""
    if not isinstance(name, str) or any("\ud800" <= character <= "\udfff" for character in name):
        raise UsageError.for_field("name", name, "text, or None")
    return name


def _joined(between: str, parts: Iterable[Signature[Any, Any]]) -> str:
    """The names of parts, as far as anybody would read."""
    names: list[str] = []
    length = 0
    for part in parts:
        names.append(workflow_name(part))
        length += len(names[-1]) + len(between)
        if length > _LONGEST_NAME:
            break
    return between.join(names)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
