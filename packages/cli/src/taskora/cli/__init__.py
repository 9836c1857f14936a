"""The taskora command."""

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line of this process, and ends it with an exit code."""
    from taskora.cli._main import run

    sys.exit(run(sys.argv[1:]))
