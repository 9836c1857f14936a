"""Requests and seeds of the tests of workflows."""

from typing import Any, Final, cast

from taskora.wire import Keyspace, WorkflowGraph, WorkflowStep
from tests.transitions.keyspace import NOW, Dump, Expires, RawTask, Scores

ID: Final = "w1"
KEY: Final = Keyspace().workflow_key(ID)
RUNNING: Final = Keyspace().running_workflows_key
ENDED: Final = Keyspace().ended_workflows_key
TRIES: Final = Keyspace().workflow_tries_key

# One step, then two side by side, then one that takes both.
DIAMOND: Final = WorkflowGraph(
    steps=(
        WorkflowStep(task="t", deps=(), job_id="j0", version=1, data=b'"\xc3\xa9"'),
        WorkflowStep(task="t", deps=(0,), job_id="j1", version=2, shape="0"),
        WorkflowStep(task="u", deps=(0,), job_id="j2", version=1, shape="0"),
        WorkflowStep(task="t", deps=(1, 2), job_id="j3", version=1, shape="[1,2]"),
    ),
    terminal=(3,),
    name="diamond",
)
PLANS: Final = ["j0 1 - 1,2 - - t", "j1 2 0 3 0 - t", "j2 1 0 3 0 - u", "j3 1 1,2 - [1,2] - t"]


def stored(*states: str, graph: WorkflowGraph = DIAMOND, **fields: Any) -> dict[str, str]:
    """The record of a workflow that we made; fields as `n_0_result` are those of steps."""
    record: dict[str, object] = {
        "state": "running",
        "createdAt": NOW - 1000,
        "graph": graph.encode().decode(),
        "py:name": graph.name,
        "py:terminal": graph.terminal_line,
        "py:count": len(graph.steps),
    }
    for number, (state, plan) in enumerate(zip(states, graph.plans(), strict=True)):
        record[f"n:{number}:state"] = state
        record[f"py:plan:{number}"] = plan
    return {name: str(value) for name, value in (record | named(fields)).items()}


def foreign(*states: str, **fields: Any) -> dict[str, str]:
    """The record of a workflow that another program made."""
    ours = stored(*states, **fields)
    return {name: value for name, value in ours.items() if not name.startswith("py:")}


def named(fields: dict[str, object]) -> dict[str, object]:
    """`n_0_result` is the field `n:0:result`, `py_count` is `py:count`."""
    return {name.replace("_", ":") if name[:2] in ("n_", "py") else name: value for name, value in fields.items()}


def seed(task: RawTask, record: dict[str, str]) -> None:
    """Stores a workflow that is on the list of those to look at."""
    task.seed({KEY: record, RUNNING: Scores({ID: NOW + 1000})})


def record_of(task: RawTask) -> dict[str, str]:
    """What is stored of the workflow."""
    found = task.read(KEY)
    return cast("dict[str, str]", found.value if isinstance(found, Expires) else found)


def changes(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """The fields that were added or changed; those that were deleted have no value."""
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    return changed | {name: "" for name in before if name not in after}


def lives_on(task: RawTask) -> bool:
    """Whether the record has no lifetime."""
    dump: Dump = task.dump()
    return not isinstance(dump[KEY], Expires)
