"""Schedules: what may be declared, and when it is due."""

import unittest
from datetime import UTC, datetime, timedelta
from typing import Any

from taskora.contracts import Schedule, UsageError

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
NOON_MS = 1_772_625_600_000

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
# Expression, and when it is due after noon of Wednesday, the 4th of March 2026, in UTC.
NEXT: list[tuple[str, str, str]] = [
    ("*/5 * * * *", "2026-03-04 12:05:00", "2026-03-04 12:10:00"),
    ("7/20 * * * *", "2026-03-04 12:07:00", "2026-03-04 12:27:00"),
    ("*/10 * * * * *", "2026-03-04 12:00:10", "2026-03-04 12:00:20"),
    ("30 15 9 * * *", "2026-03-05 09:15:30", "2026-03-06 09:15:30"),
    ("0 9-17/4 * * mon-fri", "2026-03-04 13:00:00", "2026-03-04 17:00:00"),
    ("0 0 * * 0", "2026-03-08 00:00:00", "2026-03-15 00:00:00"),
    ("0 0 * * 7", "2026-03-08 00:00:00", "2026-03-15 00:00:00"),
    ("0 0 * * 6-7", "2026-03-07 00:00:00", "2026-03-08 00:00:00"),
    ("0 0 ? * TUE", "2026-03-10 00:00:00", "2026-03-17 00:00:00"),
    ("0 0 1 * ?", "2026-04-01 00:00:00", "2026-05-01 00:00:00"),
    ("0 0 1 * FRI", "2026-03-06 00:00:00", "2026-03-13 00:00:00"),
    ("0 0 L * *", "2026-03-31 00:00:00", "2026-04-30 00:00:00"),
    ("0 0 15,L * *", "2026-03-15 00:00:00", "2026-03-31 00:00:00"),
    ("0 0 * * 5L", "2026-03-27 00:00:00", "2026-04-24 00:00:00"),
    ("0 0 * * MON#2", "2026-03-09 00:00:00", "2026-04-13 00:00:00"),
    ("0 0 * * MON#5", "2026-03-30 00:00:00", "2026-06-29 00:00:00"),
    ("0 0 29 2 *", "2028-02-29 00:00:00", "2032-02-29 00:00:00"),
    ("0 0 * FEB MON#5", "2044-02-29 00:00:00", "2072-02-29 00:00:00"),
    ("0 0 31 JAN,MAR *", "2026-03-31 00:00:00", "2027-01-31 00:00:00"),
    ("@yearly", "2027-01-01 00:00:00", "2028-01-01 00:00:00"),
    ("@monthly", "2026-04-01 00:00:00", "2026-05-01 00:00:00"),
    ("@weekly", "2026-03-08 00:00:00", "2026-03-15 00:00:00"),
    ("@daily", "2026-03-05 00:00:00", "2026-03-06 00:00:00"),
    ("@hourly", "2026-03-04 13:00:00", "2026-03-04 14:00:00"),
    ("@minutely", "2026-03-04 12:01:00", "2026-03-04 12:02:00"),
    ("@secondly", "2026-03-04 12:00:01", "2026-03-04 12:00:02"),
    ("@weekdays", "2026-03-05 00:00:00", "2026-03-06 00:00:00"),
    ("@weekends", "2026-03-07 00:00:00", "2026-03-08 00:00:00"),
]
# Zone, expression, instant to begin after, and the next ones, all in UTC.
CHANGES: list[tuple[str, str, str, list[str]]] = [
    # New York, 8 March 2026: 02:00 to 03:00 do not exist.
    ("America/New_York", "30 2 * * *", "2026-03-07 08:00", ["2026-03-08 07:30", "2026-03-09 06:30"]),
    ("America/New_York", "30 2 * * *", "2026-03-08 07:10", ["2026-03-08 07:30"]),
    ("America/New_York", "0 2,3 * * *", "2026-03-08 06:00", ["2026-03-08 07:00", "2026-03-09 06:00"]),
    ("America/New_York", "30 2 8 3 *", "2026-03-08 07:29", ["2026-03-08 07:30", "2027-03-08 07:30"]),
    ("America/New_York", "*/30 * * * *", "2026-03-08 06:00", ["2026-03-08 06:30", "2026-03-08 07:00"]),
    # New York, 1 November 2026: 01:00 to 02:00 come twice, from 05:00 and from 06:00 UTC.
    ("America/New_York", "30 1 * * *", "2026-11-01 04:00", ["2026-11-01 05:30", "2026-11-02 06:30"]),
    ("America/New_York", "30 1 * * *", "2026-11-01 05:30", ["2026-11-02 06:30"]),
    ("America/New_York", "30 1 * * *", "2026-11-01 06:10", ["2026-11-02 06:30"]),
    (
        "America/New_York",
        "30 * * * *",
        "2026-11-01 05:00",
        ["2026-11-01 05:30", "2026-11-01 06:30", "2026-11-01 07:30"],
    ),
    ("America/New_York", "0 1-2 * * *", "2026-11-01 04:00", ["2026-11-01 05:00", "2026-11-01 07:00"]),
    # Lord Howe Island moves by half an hour: 02:00 to 02:30 on 4 October 2026.
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00", ["2026-10-03 15:45", "2026-10-04 15:15"]),
    # Samoa left out the 30th of December 2011 altogether.
    ("Pacific/Apia", "0 12 30 12 *", "2011-12-29 00:00", ["2011-12-30 22:00", "2012-12-29 22:00"]),
]


def runs(schedule: Schedule, after: datetime, count: int) -> list[str]:
    found = schedule.next_runs(count, after=after)
    return [instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") for instant in found]


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

    def test_the_preview_has_limits(self) -> None:
        for count in (0, -1, 1001, True, 1.5):
            with self.subTest(count=count), self.assertRaises(UsageError):
                Schedule(every="1m").next_runs(count)  # type: ignore[arg-type]  # wrong on purpose
        with self.assertRaises(UsageError):
            Schedule(every="1m").next_runs(1, after=datetime(2026, 1, 1))  # noqa: DTZ001
        assert len(Schedule(every="1m").next_runs(1000)) == 1000


class Crons(unittest.TestCase):
    def test_the_dialect(self) -> None:
        for text, *expected in NEXT:
            with self.subTest(cron=text):
                self.assertEqual(runs(Schedule(cron=text), NOON, len(expected)), expected)

    def test_a_skipped_time_runs_once_and_a_repeated_one_too(self) -> None:
        for zone, text, begin, expected in CHANGES:
            after = datetime.fromisoformat(f"{begin}+00:00")
            with self.subTest(zone=zone, cron=text, after=begin):
                found = runs(Schedule(cron=text, timezone=zone), after, len(expected))
                self.assertEqual(found, [f"{instant}:00" for instant in expected])

    def test_instants_are_shown_in_their_zone(self) -> None:
        (first,) = Schedule(cron="0 9 * * *", timezone="Asia/Tokyo").next_runs(1, after=NOON)
        self.assertEqual(first.isoformat(), "2026-03-05T09:00:00+09:00")

    def test_bounds_are_inclusive(self) -> None:
        bounded = Schedule(cron="0 * * * *", start=NOON + timedelta(hours=2), end=NOON + timedelta(hours=3))
        self.assertEqual(runs(bounded, NOON, 5), ["2026-03-04 14:00:00", "2026-03-04 15:00:00"])
        self.assertEqual(runs(bounded, NOON + timedelta(hours=3), 5), [])

    def test_what_was_missed_is_counted_from_when_it_was_due(self) -> None:
        due_ms, now_ms = NOON_MS, NOON_MS + 5 * 60_000 + 10
        for on_missed, count in [("skip", 1), ("catch-up-limit:2", 2), ("catch-up", 6), ("catch-up-limit:100", 6)]:
            schedule = Schedule(cron="* * * * *", on_missed=on_missed)
            found = schedule.due_until(now_ms, due_ms=due_ms)
            self.assertEqual(found, [NOON_MS + minute * 60_000 for minute in range(6)][-count:])

    def test_a_long_absence_costs_no_more_than_what_is_wanted(self) -> None:
        year_ms = 365 * 86_400_000
        found = Schedule(cron="* * * * * *").due_until(NOON_MS + year_ms, due_ms=NOON_MS)
        self.assertEqual(found, [NOON_MS + year_ms])
        found = Schedule(cron="* * * * * *", on_missed="catch-up").due_until(NOON_MS + year_ms, due_ms=NOON_MS)
        self.assertEqual(len(found), 1000)

    def test_an_instant_that_the_expression_does_not_name_counts_if_somebody_said_so(self) -> None:
        self.assertEqual(Schedule(cron="0 0 * * *").due_until(NOON_MS + 5, due_ms=NOON_MS), [NOON_MS])


class Intervals(unittest.TestCase):
    def test_the_first_run_comes_after_one_interval_or_at_the_start(self) -> None:
        self.assertEqual(Schedule(every="1m").first_due(NOON_MS), NOON_MS + 60_000)
        later = Schedule(every="1m", start=NOON + timedelta(hours=1))
        self.assertEqual(later.first_due(NOON_MS), NOON_MS + 3_600_000)
        self.assertEqual(later.first_due(NOON_MS + 3_600_000 + 1), NOON_MS + 3_660_000)

    def test_they_are_counted_from_when_they_were_due(self) -> None:
        schedule = Schedule(every="1s", on_missed="catch-up")
        self.assertEqual(schedule.due_after(NOON_MS + 350, due_ms=NOON_MS), NOON_MS + 1000)
        self.assertEqual(schedule.due_after(NOON_MS + 7350, due_ms=NOON_MS), NOON_MS + 8000)
        self.assertEqual(schedule.due_after(NOON_MS + 1000, due_ms=NOON_MS), NOON_MS + 2000)
        found = schedule.due_until(NOON_MS + 2350, due_ms=NOON_MS)
        self.assertEqual(found, [NOON_MS, NOON_MS + 1000, NOON_MS + 2000])

    def test_they_end(self) -> None:
        schedule = Schedule(every="1s", end=NOON + timedelta(seconds=2), on_missed="catch-up")
        self.assertIsNone(schedule.due_after(NOON_MS + 2000, due_ms=NOON_MS))
        self.assertEqual(schedule.due_until(NOON_MS + 9000, due_ms=NOON_MS)[-1], NOON_MS + 2000)
        self.assertEqual(schedule.due_until(NOON_MS + 9000, due_ms=NOON_MS + 3000), [])

    def test_nothing_is_due_before_its_time(self) -> None:
        self.assertEqual(Schedule(every="1s").due_until(NOON_MS - 1, due_ms=NOON_MS), [])
