"""Runs again what a failed property test has printed, line for line, as a program.

    $ python -m tests.properties.replay < history.txt

What is printed before the first `state =` and after `state.teardown()` is passed over, and so are the margins of
pytest's report. `replay` does the same within a test: paste the history as it stands.
"""

import re
import sys
import textwrap
from typing import Final

from tests.properties.test_backends_agree import BackendsAgree
from tests.servers import SERVER_KINDS, Server, running

_MARGIN: Final = re.compile(r"^(E|\s*\|)?", re.MULTILINE)
_PROGRAM: Final = re.compile(r"^ *state = .*?^ *state\.teardown\(\)$", re.MULTILINE | re.DOTALL)


def replay(printed: str, server: Server) -> None:
    """Runs a printed history on memory and on a server.

    Raises:
        ValueError: there is no history in what was printed.
        AssertionError: the two disagree, or do what they must not.
    """
    found = _PROGRAM.search(_MARGIN.sub("", printed))
    if found is None:
        raise ValueError(f"no history from 'state =' to 'state.teardown()' in {printed[:200]!r}")
    machine = BackendsAgree(server)
    try:
        exec(textwrap.dedent(found[0]), {"BackendsAgree": lambda: machine})
    finally:
        machine.teardown()  # a history that fails does not come to its last line


if __name__ == "__main__":
    history = sys.stdin.read()
    for kind in SERVER_KINDS:
        with running(kind) as server:
            replay(history, server)
