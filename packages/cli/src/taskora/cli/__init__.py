"""The taskora command."""

import io
import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line of this process, and ends it with an exit code."""
    from taskora.cli._main import run

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what jobs hold need not have a form in its encoding
    sys.exit(run(sys.argv[1:]))
