"""Where a command's words go: results to stdout, everything else to stderr."""

import json
import os
import sys
import traceback

from rich.console import Console

_WIDTH_OF_A_PIPE = 160


def console(*, to_stderr: bool = False) -> Console:
    """The console for results, or for messages. Where there is no terminal, lines need not fit into one."""
    made = Console(stderr=to_stderr, highlight=False)
    if not made.is_terminal:
        made.width = max(made.width, _WIDTH_OF_A_PIPE)
    return made


def print_json(value: object) -> None:
    """Prints a result for programs. ASCII only, so that no terminal or pipe can refuse it."""
    print(json.dumps(value, indent=2))


def print_note(text: str) -> None:
    """Prints a message for people."""
    print(text, file=sys.stderr)


def print_error(message: str, error: BaseException | None = None) -> None:
    """Prints one line that says what is wrong, and its traceback if TASKORA_DEBUG=1."""
    if error is not None and os.environ.get("TASKORA_DEBUG") == "1":
        traceback.print_exception(error, file=sys.stderr)
    print_note(f"error: {one_line(message)}")


def one_line(text: str) -> str:
    """A text without line breaks and control characters: what it quotes may come from anywhere."""
    lines = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(character if character.isprintable() else "?" for character in lines.replace(":; ", ": "))
