"""When schedules are due."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from taskora.contracts import Schedule, UsageError
from taskora.producer import due_after, due_until, next_runs
from taskora.producer._due import first_due

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
NOON_MS = 1_772_625_600_000

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
    ("0 0 1 * MON#2", "2026-03-09 00:00:00", "2026-04-01 00:00:00"),
    ("0 0 * * TUE,WED#2", "2026-03-10 00:00:00", "2026-03-11 00:00:00"),
    ("0 0 31 2 TUE", "2027-02-02 00:00:00", "2027-02-09 00:00:00"),
    ("0 0 * * 0-0", "2026-03-08 00:00:00", "2026-03-15 00:00:00"),
    ("0 0 1-31 * MON", "2026-03-09 00:00:00", "2026-03-16 00:00:00"),
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
    found = next_runs(schedule, count, after=after)
    return [instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") for instant in found]


def test_the_preview_has_limits() -> None:
    for count in (0, -1, 1001, True, 1.5):
        with pytest.raises(UsageError):
            next_runs(Schedule(every="1m"), count)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError):
        next_runs(Schedule(every="1m"), 1, after=datetime(2026, 1, 1))  # noqa: DTZ001
    assert len(next_runs(Schedule(every="1m"), 1000)) == 1000


@pytest.mark.parametrize(("cron", "first", "second"), NEXT)
def test_the_dialect(cron: str, first: str, second: str) -> None:
    assert runs(Schedule(cron=cron), NOON, 2) == [first, second]


@pytest.mark.parametrize(("zone", "cron", "begin", "expected"), CHANGES)
def test_a_skipped_time_runs_once_and_a_repeated_one_too(zone: str, cron: str, begin: str, expected: list[str]) -> None:
    found = runs(Schedule(cron=cron, timezone=zone), datetime.fromisoformat(f"{begin}+00:00"), len(expected))
    assert found == [f"{instant}:00" for instant in expected]


def test_instants_are_shown_in_their_zone() -> None:
    (first,) = next_runs(Schedule(cron="0 9 * * *", timezone="Asia/Tokyo"), 1, after=NOON)
    assert first.isoformat() == "2026-03-05T09:00:00+09:00"


def test_what_starts_when_calendars_end_is_never_due() -> None:
    never = Schedule(cron="0 9 * * *", timezone="Asia/Tokyo", start=datetime.max.replace(tzinfo=UTC))
    assert next_runs(never, 1) == []


def test_threads_that_look_at_once_see_what_one_sees() -> None:
    begins = [NOON + timedelta(days=number) for number in range(8)]
    schedule = Schedule(cron="0 9 * * MON#2")

    def look(begin: datetime) -> list[str]:
        return runs(schedule, begin, 100)

    expected = [look(begin) for begin in begins]
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(begins)) as pool:
            assert list(pool.map(look, begins)) == expected
    finally:
        sys.setswitchinterval(switching)


def test_bounds_are_inclusive() -> None:
    bounded = Schedule(cron="0 * * * *", start=NOON + timedelta(hours=2), end=NOON + timedelta(hours=3))
    assert runs(bounded, NOON, 5) == ["2026-03-04 14:00:00", "2026-03-04 15:00:00"]
    assert runs(bounded, NOON + timedelta(hours=3), 5) == []


def test_what_was_missed_is_counted_from_when_it_was_due() -> None:
    due_ms, now_ms = NOON_MS, NOON_MS + 5 * 60_000 + 10
    for on_missed, count in [("skip", 1), ("catch-up-limit:2", 2), ("catch-up", 6), ("catch-up-limit:100", 6)]:
        schedule = Schedule(cron="* * * * *", on_missed=on_missed)
        found = due_until(schedule, now_ms, due_ms=due_ms)
        assert found == [NOON_MS + minute * 60_000 for minute in range(6)][-count:]


def test_a_long_absence_costs_no_more_than_what_is_wanted() -> None:
    year_ms = 365 * 86_400_000
    found = due_until(Schedule(cron="* * * * * *"), NOON_MS + year_ms, due_ms=NOON_MS)
    assert found == [NOON_MS + year_ms]
    found = due_until(Schedule(cron="* * * * * *", on_missed="catch-up"), NOON_MS + year_ms, due_ms=NOON_MS)
    assert len(found) == 1000


def test_an_instant_that_the_expression_does_not_name_counts_if_somebody_said_so() -> None:
    assert due_until(Schedule(cron="0 0 * * *"), NOON_MS + 5, due_ms=NOON_MS) == [NOON_MS]


def test_the_first_run_comes_after_one_interval_or_at_the_start() -> None:
    assert first_due(Schedule(every="1m"), NOON_MS) == NOON_MS + 60_000
    later = Schedule(every="1m", start=NOON + timedelta(hours=1))
    assert first_due(later, NOON_MS) == NOON_MS + 3_600_000
    assert first_due(later, NOON_MS + 3_600_000 + 1) == NOON_MS + 3_660_000


def test_they_are_counted_from_when_they_were_due() -> None:
    schedule = Schedule(every="1s", on_missed="catch-up")
    assert due_after(schedule, NOON_MS + 350, due_ms=NOON_MS) == NOON_MS + 1000
    assert due_after(schedule, NOON_MS + 7350, due_ms=NOON_MS) == NOON_MS + 8000
    assert due_after(schedule, NOON_MS + 1000, due_ms=NOON_MS) == NOON_MS + 2000
    found = due_until(schedule, NOON_MS + 2350, due_ms=NOON_MS)
    assert found == [NOON_MS, NOON_MS + 1000, NOON_MS + 2000]


def test_they_end() -> None:
    schedule = Schedule(every="1s", end=NOON + timedelta(seconds=2), on_missed="catch-up")
    assert due_after(schedule, NOON_MS + 2000, due_ms=NOON_MS) is None
    assert due_until(schedule, NOON_MS + 9000, due_ms=NOON_MS)[-1] == NOON_MS + 2000
    assert due_until(schedule, NOON_MS + 9000, due_ms=NOON_MS + 3000) == []


def test_nothing_is_due_before_its_time() -> None:
    assert due_until(Schedule(every="1s"), NOON_MS - 1, due_ms=NOON_MS) == []
