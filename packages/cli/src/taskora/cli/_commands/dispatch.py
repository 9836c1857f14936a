"""`taskora dispatch`: enqueue one job by the name of its task."""

import json
import sys
from typing import Annotated, NoReturn

import typer

from taskora.cli._options import DEFAULT_URL, Prefix, Url
from taskora.cli._output import print_json, print_note
from taskora.contracts import UsageError, preview, static_contract


def dispatch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the task.")],
    payload: Annotated[str, typer.Argument(metavar="JSON", help="What the job is given; - reads it from stdin.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result, and print it as JSON.")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="How long to wait: 5, 500ms, 30s, 5m.")
    ] = None,
    job_id: Annotated[
        str | None, typer.Option("--job-id", help="Id of the job; an id that exists creates nothing.")
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--delay", metavar="DURATION", help="How long to wait before the job may run.")
    ] = None,
    priority: Annotated[int, typer.Option("--priority", help="0 to 900; higher ones leave first.")] = 0,
    url: Url = DEFAULT_URL,
    prefix: Prefix = None,
) -> None:
    """Dispatch a job. Prints its id, or with --wait its result.

    The contract is not known here: the payload is sent as it is, and the worker validates it.
    """
    from taskora.producer import Producer

    if timeout is not None and not wait:
        raise UsageError("--timeout is how long --wait waits: give both, or neither")
    data = parse_payload(sys.stdin.read() if payload == "-" else payload)
    with Producer(url, prefix=prefix) as producer:
        task = producer.register(static_contract[object, object](name))
        handle = task.dispatch(data, job_id=job_id, delay=seconds_of(delay), priority=priority)
        if not handle.enqueued:
            print_note(f"job {handle.id} exists already: nothing was dispatched")
        if not wait:
            print(handle.id)
            return
        print_note(f"job {handle.id}")
        print_json(handle.result(timeout=seconds_of(timeout)))


def seconds_of(text: str | None) -> str | float | None:
    """A duration as the library takes it: plain numbers are seconds."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def parse_payload(text: str) -> object:
    """The value that a JSON text stands for.

    Raises:
        UsageError: it is not JSON; the message says where it stops being that.
    """
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"JSON must be valid, got {preview(text)}: {error.msg} at line {error.lineno}, column {error.colno}; "
            """quote it for the shell, as in '{"id": 1}'"""
        ) from None
    except RecursionError:
        raise UsageError("JSON must be nested less deeply than this") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise UsageError(f"JSON must not hold {name}, which only JavaScript and Python know; use null or a string")
