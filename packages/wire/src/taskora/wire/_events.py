"""Entries of a task's event stream."""

from collections.abc import Mapping, Sequence

from taskora.contracts.records import record
from taskora.wire._job import text_of


@record(guarded=False)
class StreamEvent:
    """One entry. Events are hints: the job's own record is the truth, and an entry may be trimmed before it is read.

    `position` orders the entries of one task. `fields` holds what is beside the event's name and the job's id.
    """

    task: str
    position: str
    name: str
    job_id: str
    fields: Mapping[str, str]


def decode_event(task: str, position: bytes, flat: Sequence[bytes]) -> StreamEvent | None:
    """Decodes a stream entry; None for one that is not an event of a job."""
    texts = [text_of(value) or "" for value in flat]
    fields = dict(zip(texts[::2], texts[1::2], strict=False))
    name, job_id = fields.pop("event", ""), fields.pop("jobId", "")
    if not name or not job_id:
        return None
    return StreamEvent(task=task, position=text_of(position) or "", name=name, job_id=job_id, fields=fields)
