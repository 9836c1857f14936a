"""Cancelling a job."""

from taskora.contracts import JobState
from taskora.wire import Cancel, CancelReply, Flow, ReadLinks, ask


def cancel_job(task: str, job_id: str, reason: str) -> Flow[bool]:
    """Ends a job, or asks the worker that runs it to end it; false if it has ended or never was.

    Where the job is a step of a workflow, and ends here, the workflow ends with it.
    """
    reply = yield from ask(Cancel(task=task, job_id=job_id, reason=reason))
    if reply is not CancelReply.CANCELLED:
        return reply is CancelReply.REQUESTED
    (link,) = yield from ask(ReadLinks(task=task, job_ids=(job_id,)))
    if link is not None:
        from taskora.wire import EndedStep, settle_steps

        step = EndedStep(task=task, job_id=job_id, link=link, state=JobState.CANCELLED, cancel_reason=reason)
        yield from settle_steps((step,))
    return True
