"""When schedules are due: against a walk over every minute around changes of clocks, and one over every day."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskora.contracts import Schedule, UsageError
from taskora.producer import due_after, due_until, next_runs
from taskora.producer._due import first_due

MINUTE = timedelta(minutes=1)
# Each with a change of its clocks, in UTC: hours and half hours, forwards and backwards, at midnight, a whole day.
CHANGES = [
    ("America/New_York", "2026-03-08 07:00"),
    ("America/New_York", "2026-11-01 06:00"),
    ("Europe/Berlin", "2026-03-29 01:00"),
    ("Europe/Berlin", "2026-10-25 01:00"),
    ("Australia/Lord_Howe", "2026-10-03 15:30"),
    ("Australia/Lord_Howe", "2026-04-04 15:00"),
    ("America/Santiago", "2026-09-06 04:00"),
    ("America/Santiago", "2026-04-05 03:00"),
    ("Pacific/Apia", "2011-12-30 10:00"),
    ("Africa/Casablanca", "2026-02-15 02:00"),
    ("Asia/Kathmandu", "2026-06-01 00:00"),
    ("UTC", "2026-06-01 00:00"),
]


def fields(least: int, most: int) -> st.SearchStrategy[str]:
    """One field of an expression."""
    numbers = st.integers(least, most)
    pairs = st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)
    ranges = pairs.map(lambda pair: f"{pair[0]}-{pair[1]}")
    steps = st.integers(1, most).map(lambda step: f"*/{step}")
    stepped = st.tuples(ranges, st.integers(1, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    part = st.one_of(numbers.map(str), ranges, stepped)
    return st.one_of(st.just("*"), steps, st.lists(part, min_size=1, max_size=3).map(",".join))


clock_crons = st.tuples(fields(0, 59), fields(0, 23)).map(lambda parts: f"{parts[0]} {parts[1]} * * *")


days = st.one_of(fields(1, 31), st.sampled_from(["?", "L", "15,L", "L,31", "1-31", "29-31", "30/1"]))
weekday = st.one_of(
    st.sampled_from(["SUN", "6", "0-0", "MON-FRI", "5-7", "7"]),
    st.tuples(st.integers(0, 6), st.integers(1, 5)).map(lambda pair: f"{pair[0]}#{pair[1]}"),
    st.integers(0, 7).map(lambda number: f"{number}L"),
)
weekdays = st.one_of(fields(0, 6), st.sampled_from(["*", "?"]), st.lists(weekday, min_size=1, max_size=3).map(",".join))
day_crons = st.tuples(days, fields(1, 12), weekdays)


class Walker:
    """Says for each minute whether an expression names it, field by field, and knows nothing of the code it checks."""

    def __init__(self, cron: str, zone: str) -> None:
        minute, hour, *_ = cron.split()
        self._minutes, self._hours = numbers(minute, 59), numbers(hour, 23)
        self._zone = ZoneInfo(zone)

    def due(self, instant: datetime) -> bool:
        wall = instant.astimezone(self._zone)
        if self._names(wall) and (wall.fold == 0 or len(self._hours) == 24):
            return True
        return any(self._names(skipped) for skipped in self._skipped_to(instant))

    def _names(self, wall: datetime) -> bool:
        return wall.minute in self._minutes and wall.hour in self._hours

    def _skipped_to(self, instant: datetime) -> list[datetime]:
        """Times of a gap before this instant that the clock would show now, had it not been changed."""
        offsets = {(instant - timedelta(hours=hours)).astimezone(self._zone).utcoffset() for hours in range(26)}
        shown = [(instant + (offset or timedelta(0))).replace(tzinfo=None) for offset in offsets]
        real = instant.astimezone(self._zone).replace(tzinfo=None)
        return [wall for wall in shown if wall < real and self._is_in_no_day(wall)]

    def _is_in_no_day(self, wall: datetime) -> bool:
        there = wall.replace(tzinfo=self._zone).astimezone(UTC).astimezone(self._zone)
        return there.replace(tzinfo=None) != wall


@cache
def numbers(text: str, most: int, least: int = 0) -> set[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        base, _, step = part.partition("/")
        low, dash, high = (str(least), "-", str(most)) if base == "*" else base.partition("-")
        last = high if dash else most if step else low
        found |= {*range(int(low), int(last) + 1, int(step or 1))}
    return found


@settings(max_examples=150, deadline=None)
@given(cron=clock_crons, change=st.sampled_from(CHANGES), before=st.integers(0, 30 * 60), span=st.integers(60, 1800))
def test_what_is_due_is_what_a_walk_over_every_minute_finds(
    cron: str, change: tuple[str, str], before: int, span: int
) -> None:
    zone, instant = change
    begin = datetime.fromisoformat(f"{instant}+00:00") - before * MINUTE
    end = begin + span * MINUTE
    walker = Walker(cron, zone)
    walked = [at for at in (begin + step * MINUTE for step in range(1, span + 1)) if walker.due(at)]
    schedule = Schedule(cron=cron, timezone=zone, end=end)
    found = [run.astimezone(UTC) for run in next_runs(schedule, 1000, after=begin)]
    assert found == walked[:1000]


class DayWalker:
    """Says for each day whether three fields name it; knows nothing of the code it checks either."""

    def __init__(self, day: str, month: str, weekday: str) -> None:
        self._days, self._months, self._weekdays = ([*part.split(",")] for part in (day, month, weekday))
        numbers_only = ",".join(part for part in self._weekdays if not set(part) & {"#", "L", "?"})
        all_weekdays = "?" in weekday or len({number % 7 for number in weekday_numbers(numbers_only)}) == 7
        all_days = "?" in day or len(numbers(",".join(part for part in self._days if part != "L"), 31, 1)) == 31
        self._either = not all_days and not all_weekdays

    def names(self, at: date) -> bool:
        by_day = any(self._is_day(part, at) for part in self._days)
        by_weekday = any(self._is_weekday(part, at) for part in self._weekdays)
        days = by_day or by_weekday if self._either else by_day and by_weekday
        return days and at.month in numbers(",".join(self._months), 12, 1)

    def _is_day(self, part: str, at: date) -> bool:
        if part == "L":
            return (at + timedelta(days=1)).month != at.month
        return part == "?" or at.day in numbers(part, 31, 1)

    def _is_weekday(self, part: str, at: date) -> bool:
        if part.endswith("L"):
            return at.isoweekday() % 7 == int(part[0]) % 7 and (at + timedelta(days=7)).month != at.month
        if "#" in part:
            return at.isoweekday() % 7 == int(part[0]) and (at.day - 1) // 7 + 1 == int(part[2])
        return part == "?" or at.isoweekday() in weekday_numbers(part) or at.isoweekday() % 7 in weekday_numbers(part)


@cache
def weekday_numbers(text: str) -> set[int]:
    for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]):
        text = text.replace(name, str(number))
    return numbers(text, 7) if text else set()


@settings(max_examples=60, deadline=None)
@given(parts=day_crons, begin=st.dates(date(2000, 1, 1), date(2090, 1, 1)))
def test_days_are_those_that_a_walk_over_every_day_finds(parts: tuple[str, str, str], begin: date) -> None:
    try:
        schedule = Schedule(cron=f"0 12 {' '.join(parts)}")
    except UsageError:
        return  # 30 February
    walker, noon = DayWalker(*parts), datetime.combine(begin, time(12), UTC)
    walked = [noon + timedelta(days=number) for number in range(1, 800) if walker.names(begin + timedelta(number))]
    found = next_runs(replace(schedule, end=noon + timedelta(days=799)), 1000, after=noon)
    assert found == walked


@settings(max_examples=100, deadline=None)
@given(
    cron=clock_crons,
    change=st.sampled_from(CHANGES),
    minutes=st.integers(0, 2000),
    limit=st.sampled_from(["skip", "catch-up-limit:3", "catch-up"]),
)
def test_what_was_missed_are_the_last_of_what_was_due(
    cron: str, change: tuple[str, str], minutes: int, limit: str
) -> None:
    zone, instant = change
    schedule = Schedule(cron=cron, timezone=zone, on_missed=limit)
    begin = datetime.fromisoformat(f"{instant}+00:00") - timedelta(hours=12)
    first_ms = next_ms = first_due(schedule, int(begin.timestamp() * 1000))
    assert first_ms is not None
    now_ms, due = first_ms + minutes * 60_000, list[int]()
    while next_ms is not None and next_ms <= now_ms:
        due.append(next_ms)
        next_ms = due_after(schedule, next_ms, due_ms=next_ms)
    assert due_until(schedule, now_ms, due_ms=first_ms) == due[-schedule.most_missed :]


@pytest.mark.parametrize("zone", sorted({zone for zone, _ in CHANGES}))
def test_a_daily_time_runs_once_a_day_for_years(zone: str) -> None:
    schedule = Schedule(cron="30 2 * * *", timezone=zone)
    runs = next_runs(schedule, 1000, after=datetime(2025, 1, 1, tzinfo=UTC))
    days = [run.date() for run in runs]
    assert days == [days[0] + timedelta(days=number) for number in range(1000)]
