"""Which texts may become part of a key."""

import unittest
from collections.abc import Callable

from taskora.contracts import (
    RESERVED_JOB_IDS,
    ContractError,
    UsageError,
    check_job_id,
    check_prefix,
    check_task_name,
)

Check = Callable[[object], str]

CHECKS: list[tuple[Check, str, type[ContractError] | type[UsageError]]] = [
    (check_task_name, "name", ContractError),
    (check_job_id, "job_id", UsageError),
    (check_prefix, "prefix", UsageError),
]
RULE = "1 to 128 characters out of A-Z a-z 0-9 . _ -"


class Names(unittest.TestCase):
    def test_letters_digits_dots_underscores_and_hyphens_make_a_name(self) -> None:
        for check, field, _ in CHECKS:
            for text in ("a", "send-email", "Billing.invoice_2", "...", "-", "0", "x" * 128):
                with self.subTest(field=field, text=text):
                    self.assertEqual(check(text), text)

    def test_anything_else_is_refused_with_field_value_and_rule(self) -> None:
        refused: list[object] = ["", " ", "a b", "a:b", "{a}", "a}", "a\n", "a/b", "ü", "a*", "٣", "y" * 129]
        for check, field, expected in CHECKS:
            for value in [*refused, None, 3, b"a", ["a"]]:
                with self.subTest(field=field, value=value), self.assertRaises(expected) as caught:
                    check(value)
                shown = caught.exception.value
                self.assertEqual(str(caught.exception), f"{field} must be {RULE}, got {shown}")
                if value != "y" * 129:
                    self.assertEqual(shown, repr(value))

    def test_the_message_names_the_parameter_of_the_caller(self) -> None:
        with self.assertRaisesRegex(ContractError, "^task must be 1 to 128 characters .*, got 'a b'$"):
            check_task_name("a b", field="task")

    def test_a_job_cannot_take_the_name_of_a_key_of_its_task(self) -> None:
        expected = {
            "active", "cancel", "cancelled", "completed", "delayed", "events", "expired", "failed",
            "marker", "meta", "prioritized", "stalled", "wait",
        }  # fmt: skip
        self.assertEqual(RESERVED_JOB_IDS, expected)
        for word in expected:
            with self.subTest(word=word), self.assertRaises(UsageError) as caught:
                check_job_id(word)
            self.assertIn(
                "job_id must be none of the reserved words active, cancel, cancelled, ", str(caught.exception)
            )
            self.assertTrue(str(caught.exception).endswith(f"got {word!r}"))
            self.assertEqual(check_job_id(f"{word}-1"), f"{word}-1")

    def test_keys_with_a_colon_are_out_of_reach_of_every_job_id(self) -> None:
        for job_id in (
            "metrics:failed:0",
            "collect:a",
            "conc:a",
            "dedup:a",
            "a:lock",
            "a:logs",
            "a:data",
            "a:result",
        ):
            with self.subTest(job_id=job_id), self.assertRaises(UsageError):
                check_job_id(job_id)


if __name__ == "__main__":
    unittest.main()
