"""`taskora stats`: how many jobs are where."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from taskora.cli._options import DEFAULT_URL, AsJson, Prefix, Url
from taskora.cli._output import console, print_json, print_note
from taskora.cli._shapes import stats_shape
from taskora.contracts import format_milliseconds

if TYPE_CHECKING:
    from taskora.producer import TaskStats


def stats(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="One task; all of them without it.")] = None,
    *,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    prefix: Prefix = None,
) -> None:
    """Count jobs by state."""
    from taskora.producer import Producer

    with Producer(url, prefix=prefix) as producer:
        found = producer.inspector.stats(task)
    if as_json:
        print_json(stats_shape(found))
    elif found:
        console().print(stats_table(found))
    else:
        print_note("no task ever had a job here; check the url and the prefix")


def stats_table(tasks: "dict[str, TaskStats]") -> Table:
    """Counts as a table."""
    table = Table(box=SIMPLE, header_style="bold")
    table.add_column("task", overflow="fold")
    columns = ("waiting", "active", "delayed", "completed", "failed", "expired", "cancelled")
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("oldest waiting", justify="right")
    table.add_column("parked")
    table.add_column("workers", justify="right")
    for name, counts in tasks.items():
        numbers = [str(getattr(counts, column)) for column in columns]
        table.add_row(name, *numbers, _age(counts.oldest_waiting_age), _parked(counts), str(counts.workers))
    return table


def _parked(counts: "TaskStats") -> str:
    return "\n".join(f"{count} {reason.value}" for reason, count in counts.parked_reasons.items()) or "-"


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else format_milliseconds(round(seconds * 1000))
