"""Schedules: what may be declared."""

import unittest
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from taskora.contracts import Schedule, ScheduleOptions, UsageError, canonical_cron, check_schedule_options

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "a schedule needs either every or cron"),
    ({"every": "5m", "cron": "* * * * *"}, "a schedule needs either every or cron"),
    ({"every": 0}, "schedule.every must be a positive duration"),
    ({"every": "50ms"}, "schedule.every must be at least 100ms"),
    ({"every": "soon"}, "schedule.every must be a duration"),
    ({"every": True}, "schedule.every must be a duration"),
    ({"every": "5m", "timezone": "UTC"}, "schedule.timezone must be absent"),
    ({"cron": "* * * * *", "timezone": "Europe/Berln"}, "schedule.timezone must be an IANA time zone"),
    ({"cron": "* * * * *", "timezone": "Europe"}, "schedule.timezone must be an IANA time zone"),
    ({"cron": "* * * * *", "timezone": "../../etc/passwd"}, "schedule.timezone must be an IANA time zone"),
    ({"cron": "* * * * *", "timezone": ""}, "schedule.timezone must be an IANA time zone"),
    ({"cron": "* * * * *", "timezone": 7}, "schedule.timezone must be an IANA time zone"),
    ({"cron": 7}, "schedule.cron must be a cron expression, as text"),
    ({"every": "5m", "on_missed": "later"}, 'schedule.on_missed must be "skip", "catch-up" or "catch-up-limit:N"'),
    ({"every": "5m", "on_missed": "catch-up-limit:0"}, "schedule.on_missed must be"),
    ({"every": "5m", "on_missed": None}, "schedule.on_missed must be"),
    ({"every": "5m", "overlap": 1}, "schedule.overlap must be True or False"),
    ({"every": "5m", "start": datetime(2026, 1, 1)}, "schedule.start must be a datetime with a time zone"),  # noqa: DTZ001
    ({"every": "5m", "end": "tomorrow"}, "schedule.end must be a datetime with a time zone"),
    ({"every": "5m", "start": NOON, "end": NOON - timedelta(1)}, "schedule.end must be not before schedule.start"),
    ({"every": "5m", "jitter": -1}, "schedule.jitter must be"),
]
BAD_CRONS: list[tuple[str, str]] = [
    ("", "5 fields"),
    ("* * * *", "5 fields"),
    ("* * * * * * *", "5 fields"),
    ("60 * * * *", "'60' is no minute: 0 to 59"),
    ("* 24 * * *", "'24' is no hour"),
    ("* * 0 * *", "'0' is no day of month"),
    ("* * * 13 *", "'13' is no month: 1 to 12 or JAN"),
    ("* * * * 8", "'8' is no day of week: 0 to 7 or SUN"),
    ("* * * * JAN", "'JAN' is no day of week"),
    ("-1 * * * *", "'-1' is nothing that a minute can be"),
    ("1,,2 * * * *", "'' is nothing that a minute can be"),
    ("*/0 * * * *", "the step of '*/0' must be 1 or more"),
    ("* 22-2 * * *", "the range '22-2' must go from low to high"),
    ("? * * * *", "'?' may stand for a day only"),
    ("* * 15W * *", "'15W' is no day of month"),
    ("* H * * *", "'H' is no hour"),
    ("* * L-3 * *", "'L' is no day of month"),
    ("* * * * L", "'L' is no day of week"),
    ("* * * * 8L", "'8' is no day of week"),
    ("* * * * MON#6", "'MON#6' must name the 1st to 5th of a month"),
    ("@reboot", "with @ one of @yearly, @monthly"),
    ("٣ * * * *", "'٣' is no minute"),
    ("0 0 30 2 *", "whose day exists in one of its months"),
    ("0 0 31 4,6 *", "whose day exists in one of its months"),
    ("* " * 300, "at most 512 characters"),
]
# What may be written, and the form that leaves nothing to interpretation.
CANONICAL: list[tuple[str, str]] = [
    ("5 4 * * *", "0 5 4 * * *"),
    ("*/20 9-17/4 ? jan,Mar mon-fri", "0 0,20,40 9,13,17 * 1,3 1,2,3,4,5"),
    ("50/5 * * * * *", "50,55 * * * * *"),
    ("0 0-23 1-31 1-12 *", "0 0 * * * *"),
    ("0 0 * * 0-0", "0 0 0 * * 0"),
    ("0 0 * * 6-7", "0 0 0 * * 0,6"),
    ("0 0 * * 1-7", "0 0 0 * * *"),
    ("0 0 L,15 * 7L,SUN#2,1", "0 0 0 15,L * 1,0#2,0L"),
    ("0 0 28-31 2 *", "0 0 0 28,29 2 *"),
    ("0 0 31 6 MON", "0 0 0 - 6 1"),
    ("@weekends", "0 0 0 * * 0,6"),
]


class Declaring(unittest.TestCase):
    def test_what_breaks_a_rule_is_refused_with_field_value_and_rule(self) -> None:
        for options, message in BAD:
            with self.subTest(options=options), self.assertRaises(UsageError) as caught:
                Schedule(**options)
            self.assertIn(message, str(caught.exception))

    def test_what_is_no_cron_expression_is_refused(self) -> None:
        for text, message in BAD_CRONS:
            with self.subTest(cron=text), self.assertRaises(UsageError) as caught:
                Schedule(cron=text)
            self.assertIn("schedule.cron must be a cron expression", str(caught.exception))
            self.assertIn(message, str(caught.exception))

    def test_schedules_are_compared_by_what_they_mean(self) -> None:
        assert Schedule(every="1m") == Schedule(every=60) == Schedule(every=timedelta(minutes=1))
        assert Schedule(every="1m") != Schedule(every="1m", data={"a": 1})
        assert hash(Schedule(every="1m", data={"a": 1})) == hash(Schedule(every=60, data={"a": 1}))

    def test_an_expression_has_one_canonical_form(self) -> None:
        for text, expected in CANONICAL:
            with self.subTest(cron=text):
                self.assertEqual(canonical_cron(text), expected)
                if "-" not in expected:
                    self.assertEqual(canonical_cron(expected), expected)


class TestOptions(unittest.TestCase):
    def test_the_options_that_are_passed_on_are_those_of_a_schedule(self) -> None:
        accepted = {field.name for field in fields(Schedule) if field.init}
        assert accepted == ScheduleOptions.__optional_keys__

    def test_an_option_that_does_not_exist_is_refused_as_python_does(self) -> None:
        options: Any = {"every": "1h", "evry": "1h", "zone": "UTC"}
        with self.assertRaisesRegex(TypeError, "a schedule has no option 'evry', 'zone'"):
            check_schedule_options(options)
