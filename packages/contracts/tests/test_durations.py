"""How durations are read and written."""

import math
import unittest
from datetime import timedelta
from typing import cast

from taskora.contracts import (
    ContractError,
    Duration,
    UsageError,
    format_milliseconds,
    to_milliseconds,
    to_seconds,
)


class Reading(unittest.TestCase):
    def test_numbers_are_seconds(self) -> None:
        cases: list[tuple[Duration, int]] = [
            (1, 1000),
            (0.25, 250),
            (2.5, 2500),
            (0.0006, 1),
            (86_400, 86_400_000),
        ]
        for value, expected in cases:
            with self.subTest(value=value):
                self.assertEqual(to_milliseconds(value, field="delay"), expected)

    def test_a_timedelta_is_taken_as_it_is(self) -> None:
        for value, expected in [(timedelta(minutes=5), 300_000), (timedelta(milliseconds=1.4), 1)]:
            with self.subTest(value=value):
                self.assertEqual(to_milliseconds(value, field="delay"), expected)

    def test_strings_carry_their_unit(self) -> None:
        cases = {
            "250ms": 250,
            "30s": 30_000,
            "5m": 300_000,
            "2h": 7_200_000,
            "1d": 86_400_000,
            "1.5s": 1500,
            "1.6ms": 2,
            "1h30m": 5_400_000,
            "1d2h3m4s5ms": 93_784_005,
            "1m0.5s": 60_500,
            "007s": 7_000,
            "36525d": 3_155_760_000_000,
        }
        for text, expected in cases.items():
            with self.subTest(text=text):
                self.assertEqual(to_milliseconds(text, field="delay"), expected)

    def test_what_is_not_a_duration_is_refused_with_field_value_and_rule(self) -> None:
        not_durations: list[object] = [
            "", " ", "30", "30 s", " 30s", "30s ", "30s\n", "s", "5w", "5S", "-5s", "+5s", "1e3s", ".5s",
            "1.s", "1,5s",
            "30m1h", "1s1s", "1ms1s", "1h30", "١s", "inf", "nan",
            True, False, None, math.nan, [1], b"30s", 1j,
        ]  # fmt: skip
        for value in not_durations:
            with self.subTest(value=value):
                error = refusal(value)
                self.assertEqual(error.field, "delay")
                self.assertEqual(
                    str(error),
                    "delay must be a duration: a timedelta, a number of seconds, "
                    f'or a string such as "250ms", "30s", "1.5h" or "1h30m", got {value!r}',
                )

    def test_a_duration_out_of_range_is_refused_with_the_limit_it_breaks(self) -> None:
        cases: list[tuple[object, str]] = [
            (0, "a positive duration"),
            (0.0, "a positive duration"),
            ("0s", "a positive duration"),
            (timedelta(0), "a positive duration"),
            (-1, "a positive duration"),
            (-0.0001, "a positive duration"),
            (timedelta(seconds=-1), "a positive duration"),
            (-math.inf, "a positive duration"),
            (math.inf, "at most 100 years (36525d)"),
            ("36525d1ms", "at most 100 years (36525d)"),
            ("9" * 400 + "d", "at most 100 years (36525d)"),
            (10**400, "at most 100 years (36525d)"),
            (timedelta.max, "at most 100 years (36525d)"),
            (0.0004, "at least one millisecond"),
            ("0.4ms", "at least one millisecond"),
            (timedelta(microseconds=1), "at least one millisecond"),
        ]
        for value, rule in cases:
            with self.subTest(value=value):
                error = refusal(value)
                self.assertEqual((error.field, error.rule), ("delay", rule))
                self.assertTrue(str(error).startswith(f"delay must be {rule}, got "), str(error))

    def test_zero_is_a_duration_only_where_it_is_allowed(self) -> None:
        for value in (0, 0.0, "0s", "0h0ms", timedelta(0)):
            with self.subTest(value=value):
                self.assertEqual(to_milliseconds(value, field="delay", allow_zero=True), 0)
        with self.assertRaisesRegex(UsageError, "^delay must be zero or a positive duration, got -1$"):
            to_milliseconds(-1, field="delay", allow_zero=True)
        with self.assertRaisesRegex(UsageError, "^delay must be at least one millisecond, got 0.0001$"):
            to_milliseconds(0.0001, field="delay", allow_zero=True)

    def test_the_caller_chooses_whose_fault_it_is(self) -> None:
        with self.assertRaisesRegex(ContractError, "^timeout must be a duration: .*, got 'soon'$"):
            to_milliseconds("soon", field="timeout", error=ContractError)

    def test_seconds_follow_the_same_rules(self) -> None:
        self.assertEqual(to_seconds("1m250ms", field="delay"), 60.25)
        self.assertEqual(to_seconds(0, field="delay", allow_zero=True), 0.0)
        with self.assertRaisesRegex(ContractError, "^delay must be a positive duration, got 0$"):
            to_seconds(0, field="delay", error=ContractError)


class Writing(unittest.TestCase):
    def test_units_go_from_large_to_small(self) -> None:
        cases = {
            0: "0s",
            1: "1ms",
            1500: "1s500ms",
            30_000: "30s",
            5_400_000: "1h30m",
            93_784_005: "1d2h3m4s5ms",
        }
        for duration_ms, expected in cases.items():
            with self.subTest(duration_ms=duration_ms):
                self.assertEqual(format_milliseconds(duration_ms), expected)

    def test_what_is_written_reads_back_as_the_same_duration(self) -> None:
        for duration_ms in [
            0,
            1,
            999,
            1000,
            59_999,
            60_001,
            3_599_999,
            86_399_999,
            86_400_001,
            3_155_760_000_000,
        ]:
            with self.subTest(duration_ms=duration_ms):
                text = format_milliseconds(duration_ms)
                self.assertEqual(to_milliseconds(text, field="delay", allow_zero=True), duration_ms)


def refusal(value: object) -> UsageError:
    try:
        accepted = to_milliseconds(cast("Duration", value), field="delay")
    except UsageError as error:
        return error
    raise AssertionError(f"{value!r} was accepted as {accepted} ms")


if __name__ == "__main__":
    unittest.main()
