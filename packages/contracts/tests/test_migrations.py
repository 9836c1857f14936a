"""Steps between payload versions."""

import unittest
from typing import Any, cast

from taskora.contracts import UsageError, into
from taskora.contracts._migrations import migration_steps


def step(payload: Any) -> Any:
    return payload


def raised(payload: Any) -> Any:
    return {**payload, "b": 2}


class Migrations(unittest.TestCase):
    def test_without_steps_the_version_is_what_it_was(self) -> None:
        self.assertEqual(migration_steps(None, version=3, since=1), (3, {}))

    def test_a_list_leads_as_far_as_it_is_long(self) -> None:
        self.assertEqual(migration_steps([step, raised], version=1, since=1), (3, {1: step, 2: raised}))
        self.assertEqual(migration_steps((step,), version=9, since=4), (5, {4: step}))
        self.assertEqual(migration_steps([], version=9, since=4), (4, {}))

    def test_a_mapping_may_leave_gaps(self) -> None:
        self.assertEqual(migration_steps({1: step, 3: raised}, version=5, since=1), (5, {1: step, 3: raised}))

    def test_a_step_starts_within_what_is_accepted(self) -> None:
        for start in (0, 1, 5, 6, True, "2", 2.0, None):
            steps = cast("Any", {start: step})
            with self.subTest(start=start), self.assertRaises(UsageError) as caught:
                migration_steps(steps, version=5, since=2)
            self.assertEqual(caught.exception.field, "migrate")
            self.assertEqual(caught.exception.rule, "from a version from 2 to 4")

    def test_a_step_is_a_function(self) -> None:
        for steps in ({2: "step"}, {2: None}):
            with self.subTest(steps=steps), self.assertRaisesRegex(UsageError, r"migrate\[2\] must be a function"):
                migration_steps(cast("Any", steps), version=5, since=2)
        with self.assertRaisesRegex(UsageError, r"migrate\[3\] must be a function, got 7"):
            migration_steps(cast("Any", [step, 7]), version=5, since=2)

    def test_steps_come_in_a_mapping_or_a_list(self) -> None:
        for steps in ("steps", b"steps", step, 7, {step}):
            with self.subTest(steps=steps), self.assertRaisesRegex(UsageError, "migrate must be a mapping of versions"):
                migration_steps(cast("Any", steps), version=5, since=2)

    def test_a_typed_step_does_what_its_function_does(self) -> None:
        target: Any = dict
        typed = into(target, raised)
        self.assertEqual(typed({"a": 1}), {"a": 1, "b": 2})
        self.assertIs(typed.target, dict)
        self.assertEqual(migration_steps([step, typed], version=1, since=1), (3, {1: step, 2: typed}))


if __name__ == "__main__":
    unittest.main()
