"""describe_workflow: what a list shows of a workflow."""

from collections import Counter

from taskora.wire import _operations as op
from taskora.wire._job import integer_of, text_of
from taskora.wire.backends._memory._workflows import Workflows, state_of


def describe_workflow(workflows: Workflows, operation: op.DescribeWorkflow, now_ms: int) -> op.WorkflowSummary | None:
    """A summary of a workflow."""
    found = workflows.find(operation.workflow_id, now_ms)
    state = None if found is None else state_of(found)
    if found is None or state is None or "graph" not in found.fields:
        return None
    fields = found.fields
    return op.WorkflowSummary(
        workflow_id=operation.workflow_id,
        state=state,
        name=found.graph.name,
        created_ms=integer_of(fields.get("createdAt")) or 0,
        finished_ms=integer_of(fields.get("py:finishedAt")),
        deadline_ms=integer_of(fields.get("py:deadline")),
        error=text_of(fields.get("error")),
        steps=dict(Counter(found.state_of(step) for step in range(len(found.graph.steps)))),
    )
