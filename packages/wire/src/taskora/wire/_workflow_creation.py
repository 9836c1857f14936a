"""Creating a workflow under an id that the caller has chosen: as often as it is asked for, it is there once."""

from taskora.contracts import UsageError
from taskora.wire import _operations as op
from taskora.wire._flows import Flow, ask
from taskora.wire._job import integer_of
from taskora.wire._workflow_flows import begin_workflow
from taskora.wire._workflow_graph import WorkflowGraph, difference
from taskora.wire._workflow_record import WorkflowRecord, decode_workflow
from taskora.wire._workflow_repair import repair_workflow


def create_workflow_once(workflow_id: str, graph: WorkflowGraph, ttl_ms: int = 0) -> Flow[WorkflowRecord | None]:
    """Creates a workflow, unless it exists; then what is left undone of its beginning is done, and its record returned.

    What exists decides, ids of jobs and time limit included: of the graph that is given, nothing is stored then.

    Raises:
        UsageError: the id is that of another workflow.
        DamagedWorkflowError: what is stored under the id cannot be read.
    """
    while True:
        stored = yield from ask(op.ReadWorkflow(workflow_id=workflow_id))
        record = decode_workflow(workflow_id, stored)
        if record is not None:
            _check_same(graph, record)
            if record.state == "running":  # of one that has ended, a sweeper does what is left
                yield from repair_workflow(workflow_id)
            return record
        # Nothing, or the mark of one that was announced, not created, and given up by a sweeper.
        given_up_ms = integer_of(stored.values.get("createdAt"))
        create = op.CreateWorkflow(workflow_id=workflow_id, graph=graph, ttl_ms=ttl_ms, given_up_ms=given_up_ms)
        if (yield from begin_workflow(create)):
            return None
        # Somebody else was faster, or it has just been given up again: look.


def _check_same(graph: WorkflowGraph, record: WorkflowRecord) -> None:
    found = difference(graph, record.graph)
    if found is not None:
        rule = f"new, or that of the same workflow (the one that exists has {found})"
        raise UsageError.for_field("workflow_id", record.workflow_id, rule)
