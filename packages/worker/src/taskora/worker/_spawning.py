"""What a handler adds to its workflow, on the way from its context to the graph."""

import json
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar, cast

from taskora.contracts import Signature, TaskContract
from taskora.contracts.records import record
from taskora.producer import DispatchRules, Payloads, Plan, plan_workflow
from taskora.wire import WorkflowGraph, decode_graph

O = TypeVar("O", covariant=True)  # noqa: E741 - output

_RULES: Final = DispatchRules()


@record
class Spawned(Generic[O]):
    """What was added to a workflow: the ids of the jobs that will give its output, in order."""

    job_ids: tuple[str, ...]


@lru_cache(maxsize=256)
def _payloads_of(contract: TaskContract[Any, Any]) -> Payloads[Any, Any]:
    return Payloads(contract)


def encode_spawned(signature: Signature[Any, Any]) -> tuple[Plan, bytes]:
    """The steps of a signature, and the bytes that carry them out of a handler's process.

    Raises:
        UsageError: the signature breaks a rule.
        ValidationError: data does not fit its contract.
    """
    plan = plan_workflow(signature, _payloads_of, _RULES, is_spawned=True)
    return plan, json.dumps([plan.graph.encode().decode(), plan.graph.plans()]).encode()


def decode_spawned(payload: bytes) -> WorkflowGraph:
    """What `encode_spawned` made."""
    graph, plans = cast("tuple[str, list[str]]", json.loads(payload))
    return decode_graph(graph.encode(), plans)
