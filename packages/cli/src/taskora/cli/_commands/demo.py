"""`taskora demo`: the product in one minute."""

import typer

from taskora.cli._exit_codes import ExitCode
from taskora.cli._options import AsJson
from taskora.cli._output import console, print_error, print_json


def demo(*, as_json: AsJson = False) -> None:
    """See it work: index Python's standard library with two worker processes.

    Starts a server of its own, two workers and a producer; shows results, speed, dead letters and a cancelled job; and
    leaves nothing behind.
    """
    from taskora.cli.demo.display import ProgressDisplay, show_report
    from taskora.cli.demo.report import report_shape
    from taskora.cli.demo.stage import DemoError, perform

    try:
        with ProgressDisplay(console(to_stderr=as_json)) as progress:
            report = perform(on_start=progress.start, on_result=progress.advance)
    except DemoError as error:
        print_error(str(error), error)
        raise typer.Exit(ExitCode.INTERNAL) from error
    if as_json:
        print_json(report_shape(report))
    else:
        show_report(report, console())
