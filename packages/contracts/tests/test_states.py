"""The life of a job, as a table."""

import unittest
from typing import cast

from taskora.contracts import INITIAL_STATES, TRANSITIONS, JobState

W, D, A, R = JobState.WAITING, JobState.DELAYED, JobState.ACTIVE, JobState.RETRYING
COMPLETED, FAILED, CANCELLED, EXPIRED = (
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.EXPIRED,
)


class States(unittest.TestCase):
    def test_states_are_the_words_stored_in_the_server(self) -> None:
        words = ["waiting", "delayed", "active", "retrying", "completed", "failed", "cancelled", "expired"]
        self.assertEqual([str(state) for state in JobState], words)
        self.assertEqual(JobState("retrying"), "retrying")
        with self.assertRaises(ValueError):
            JobState("stalled")

    def test_half_of_the_states_are_final(self) -> None:
        self.assertEqual({state for state in JobState if state.is_terminal}, {COMPLETED, FAILED, CANCELLED, EXPIRED})

    def test_a_job_begins_waiting_or_delayed(self) -> None:
        self.assertEqual(INITIAL_STATES, {W, D})

    def test_every_move_is_in_the_table_and_no_other(self) -> None:
        moves = {(before, after) for before, following in TRANSITIONS.items() for after in following}
        expected = {
            (D, W), (R, W),  # promotion
            (W, A),  # claim
            (D, EXPIRED), (R, EXPIRED), (W, EXPIRED),
            (A, COMPLETED), (A, R), (A, FAILED),
            (A, W),  # given back, or recovered from a dead worker
            (W, D), (A, D),  # too new for this worker, or over the rate limit of its key
            (W, CANCELLED), (D, CANCELLED), (R, CANCELLED), (A, CANCELLED),
            (FAILED, W),  # retried by a person
        }  # fmt: skip
        self.assertEqual(moves, expected)

    def test_the_table_knows_every_state_and_cannot_be_changed(self) -> None:
        self.assertEqual(set(TRANSITIONS), set(JobState))
        with self.assertRaises(TypeError):
            cast("dict[JobState, frozenset[JobState]]", TRANSITIONS)[COMPLETED] = frozenset({W})
        for following in TRANSITIONS.values():
            self.assertIsInstance(following, frozenset)

    def test_a_finished_job_moves_only_by_the_hand_of_a_person(self) -> None:
        finished = {state: TRANSITIONS[state] for state in JobState if state.is_terminal}
        self.assertEqual(finished, {COMPLETED: set(), FAILED: {W}, CANCELLED: set(), EXPIRED: set()})


if __name__ == "__main__":
    unittest.main()
