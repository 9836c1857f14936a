"""What a failed property test prints can be run."""

import pytest

from tests.properties.replay import replay
from tests.servers import Server

PRINTED = r"""
E       AssertionError: lost
E       state = BackendsAgree()
E       state.begin(other_programs=False, some_rules=False)
E       state.check()
E       jobs_0, jobs_1 = state.enqueue(kinds=['plain', 'later'], task='work', version=1)
E       state.check()
E       (claims_0,) = state.claim(lease_ms=60000, slots=1, task='work', worker='ann')
E       state.check()
E       state.settle(end='completed', held=claims_0, payload=b'\xff', slots=0)
E       state.check()
E       state.remove_finished(name=jobs_0, resend=False)
E       state.check()
E       state.teardown()
E       Explanation: none
"""


def test_a_printed_history_runs_as_it_stands(server: Server) -> None:
    replay(PRINTED, server)


def test_a_history_without_a_step_that_it_needs_fails(server: Server) -> None:
    without_claim = "\n".join(line for line in PRINTED.splitlines() if "claim(" not in line)
    with pytest.raises(NameError):
        replay(without_claim, server)


def test_what_holds_no_history_is_refused(server: Server) -> None:
    with pytest.raises(ValueError, match="no history"):
        replay("AssertionError: lost", server)
