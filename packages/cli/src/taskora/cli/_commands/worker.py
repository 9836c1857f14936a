"""`taskora worker`: run a worker that a module defines."""

import asyncio
from typing import Annotated

import typer

from taskora.cli._logging import LogLevel, log_to_stderr
from taskora.contracts import UsageError


def worker(
    target: Annotated[
        str, typer.Argument(metavar="MODULE[:WORKER]", help="Where the worker is: a Worker, or a function making one.")
    ],
    *,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="Run it in this many processes, kept running.")
    ] = None,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="How much is logged to stderr.")] = LogLevel.INFO,
    lifeline: Annotated[int | None, typer.Option("--lifeline", hidden=True)] = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C.

    The first signal stops it gracefully: it takes no more jobs, and those that run may end. A second signal stops it
    at once. The module is looked for in the current directory, too; the worker in it says where its server is.
    """
    log_to_stderr(log_level)
    if lifeline is not None:
        from taskora.cli._children import hold_on_to

        hold_on_to(lifeline)
    if processes is None:
        _run_here(target)
    else:
        raise typer.Exit(_run_apart(target, processes, log_level))


def _run_here(target: str) -> None:
    from taskora.cli._loading import load_worker

    loaded = load_worker(target)
    if not loaded.implementations:
        raise UsageError(f"{target} implements no task: its worker would have nothing to do")
    loaded.run()


def _run_apart(target: str, processes: int, log_level: LogLevel) -> int:
    from taskora.cli._supervisor import Supervisor

    async def supervise() -> int:
        return await Supervisor(target, count=processes, options=("--log-level", log_level)).run()

    return asyncio.run(supervise())
