"""The application: its commands, and how their errors end."""

import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from taskora.cli._commands.demo import demo
from taskora.cli._commands.dispatch import dispatch
from taskora.cli._commands.job import job
from taskora.cli._commands.stats import stats
from taskora.cli._commands.worker import worker
from taskora.cli._exit_codes import ExitCode, exit_code_of, exit_codes_text
from taskora.cli._output import print_error
from taskora.contracts import TaskoraError

app = typer.Typer(
    name="taskora",
    help="A typed job queue over Redis: run workers, dispatch jobs, look at them.",
    epilog=exit_codes_text(),
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_ALWAYS = {ExitCode.OK, ExitCode.USAGE, ExitCode.SERVER, ExitCode.INTERNAL}
_COMMANDS: dict[Callable[..., None], set[ExitCode]] = {
    demo: {ExitCode.INTERRUPTED},
    worker: {ExitCode.FAILED},
    dispatch: {ExitCode.FAILED, ExitCode.NOT_FOUND, ExitCode.TIMED_OUT, ExitCode.INTERRUPTED},
    stats: set(),
    job: {ExitCode.NOT_FOUND},
}
for command, codes in _COMMANDS.items():
    app.command(epilog=exit_codes_text(*sorted(_ALWAYS | codes)))(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"taskora {importlib.metadata.version('taskora-cli')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; whatever goes wrong becomes one line on stderr."""
    try:
        outcome: object = app(list(arguments), prog_name="taskora", standalone_mode=False)
    except typer.TyperException as error:
        print_error(_usage_message(error))
        return error.exit_code
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except TaskoraError as error:
        print_error(str(error), error)
        return exit_code_of(error)
    except Exception as error:  # noqa: BLE001 - a person sees one line, a developer asks for more
        print_error(
            f"unexpected {type(error).__name__}: {error}; this is a bug: TASKORA_DEBUG=1 shows the traceback", error
        )
        return ExitCode.INTERNAL
    return outcome if isinstance(outcome, int) else ExitCode.OK


def _usage_message(error: typer.TyperException) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", "taskora")
    return f"{error.format_message().rstrip('.')}; see {path} --help"
