"""Options of a task that are plain data."""

import unittest
from typing import Any

from taskora.contracts import ContractError, Stall, Ttl


class Options(unittest.TestCase):
    def test_defaults_are_those_of_every_implementation(self) -> None:
        self.assertEqual((Stall().interval_ms, Stall().max_count), (30_000, 1))
        self.assertEqual((Ttl().max_ms, Ttl().on_expire), (3_600_000, "fail"))

    def test_durations_are_kept_in_milliseconds(self) -> None:
        self.assertEqual(Stall(interval="1m").interval_ms, 60_000)
        self.assertEqual(Ttl(max=0.5, on_expire="discard").max_ms, 500)

    def test_options_are_equal_when_they_do_the_same(self) -> None:
        self.assertEqual(Stall(interval="60s"), Stall(interval="1m"))
        self.assertNotEqual(Stall(interval="61s"), Stall(interval="1m"))
        self.assertEqual(Ttl(max="60m"), Ttl())
        self.assertNotEqual(Ttl(on_expire="discard"), Ttl())

    def test_a_job_may_be_allowed_no_stall_at_all(self) -> None:
        self.assertEqual(Stall(max_count=0).max_count, 0)

    def test_an_option_that_breaks_its_rule_is_refused_with_field_value_and_rule(self) -> None:
        cases: list[tuple[Any, str, str, list[Any]]] = [
            (Stall, "interval", "a positive duration", [0, "0s", -1]),
            (Stall, "max_count", "an integer, 0 or more", [-1, True, 1.0, "1", None]),
            (Ttl, "max", "a positive duration", [0, "0s", -1]),
            (Ttl, "on_expire", '"fail" or "discard"', ["keep", "", None, True, []]),
        ]
        for option, field, rule, values in cases:
            for value in values:
                with (
                    self.subTest(option=option, field=field, value=value),
                    self.assertRaises(ContractError) as caught,
                ):
                    option(**{field: value})
                self.assertEqual(str(caught.exception), f"{field} must be {rule}, got {value!r}")
                self.assertEqual(caught.exception.field, field)

    def test_an_option_cannot_be_changed(self) -> None:
        for option, name in [(Stall(), "max_count"), (Ttl(), "max_ms")]:
            with self.subTest(name), self.assertRaises(AttributeError):
                setattr(option, name, 5)


if __name__ == "__main__":
    unittest.main()
