"""`taskora job`: everything that is known of one job."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from taskora.cli._options import DEFAULT_URL, AsJson, Prefix, Url
from taskora.cli._output import console, one_line, print_json
from taskora.cli._shapes import iso, job_shape
from taskora.contracts import UnknownJobError

if TYPE_CHECKING:
    from taskora.producer import JobInfo

_REASONS = {
    "saturated": "its concurrency key has no free slot",
    "newer": "its payload is too new for the workers that saw it",
    "unserved": "no worker implements its task",
}


def job(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")],
    *,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="Its task; all tasks are searched without it.")
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    prefix: Prefix = None,
) -> None:
    """Show a job: state, payload, result, error, times, logs."""
    from taskora.producer import Producer

    with Producer(url, prefix=prefix) as producer:
        inspector = producer.inspector
        info = inspector.find(job_id) if task is None else inspector.find(task, job_id)
    if info is None:
        raise UnknownJobError(job_id=job_id, task=task)
    if as_json:
        print_json(job_shape(info))
    else:
        console().print(job_table(info))


def job_table(info: "JobInfo") -> Table:
    """A job as a table of two columns, without the lines that have nothing to say."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(info):
        table.add_row(name, Text(one_line(value)))
    return table


def _lines(info: "JobInfo") -> Iterator[tuple[str, str]]:
    yield "id", info.id
    yield "task", info.task
    yield "state", info.state.value
    if info.parked_reason is not None:
        yield "parked because", _REASONS[info.parked_reason.value]
    yield "attempt", f"{info.attempt} of {info.max_attempts}"
    yield from ((f"{entry.state.value} at", iso(entry.timestamp_ms) or "-") for entry in info.timeline)
    if info.priority:
        yield "priority", str(info.priority)
    if info.stalled_count:
        yield "stalled", f"{info.stalled_count} times"
    for name, value in (("data", info.data), ("result", info.result), ("progress", info.progress)):
        if value is not None:
            yield name, json.dumps(value, ensure_ascii=False)
    if info.error is not None:
        yield "error", info.error
    if info.cancel_reason:
        yield "cancelled because", info.cancel_reason
    for entry in info.logs:
        meta = "" if entry.meta is None else f" {json.dumps(entry.meta, ensure_ascii=False)}"
        yield "log", f"{iso(entry.timestamp_ms)} {entry.level}: {entry.message}{meta}"
