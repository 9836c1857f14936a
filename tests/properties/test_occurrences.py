"""When schedules are due: against a walk over every minute, and against another implementation of cron."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from taskora.contracts import Schedule

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


def _listed(days: list[int]) -> str:
    return ",".join(map(str, days))


# What the other implementation reads alike: where all days are listed, or a step is, it sees a restriction.
few_days = st.one_of(st.just("*"), st.lists(st.integers(1, 28), min_size=1, max_size=9).map(_listed))
few_weekdays = st.one_of(
    st.sampled_from(["*", "?", "1-5", "MON-FRI", "5-7"]),
    st.lists(st.integers(0, 7), min_size=1, max_size=5).map(_listed),
)
day_crons = st.one_of(
    st.tuples(few_days, fields(1, 12), few_weekdays).map(lambda parts: f"0 12 {' '.join(parts)}"),
    st.sampled_from(["0 12 * * MON#2", "0 12 * * WED#5", "0 12 L * *", "0 12 * 3,9 SUN#1"]),
)


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


def numbers(text: str, most: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        base, _, step = part.partition("/")
        low, _, high = ("0", "-", str(most)) if base == "*" else base.partition("-")
        found |= {*range(int(low), int(high or low) + 1, int(step or 1))}
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
    found = [run.astimezone(UTC) for run in schedule.next_runs(1000, after=begin)]
    assert found == walked[:1000]


@settings(max_examples=150, deadline=None)
@given(cron=day_crons, begin=st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001 - in UTC
def test_days_are_those_of_another_implementation(cron: str, begin: datetime) -> None:
    other = croniter(cron, begin, second_at_beginning=True)
    expected = [other.get_next(datetime) for _ in range(3)]
    found = Schedule(cron=cron).next_runs(3, after=begin.replace(tzinfo=UTC))
    assert [run.replace(tzinfo=None) for run in found] == expected


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
    schedule: Any = Schedule(cron=cron, timezone=zone, on_missed=limit)
    begin = datetime.fromisoformat(f"{instant}+00:00") - timedelta(hours=12)
    first_ms = schedule.first_due(int(begin.timestamp() * 1000))
    now_ms = first_ms + minutes * 60_000
    due = [first_ms]
    while due[-1] <= now_ms:
        due.append(schedule.due_after(due[-1], due_ms=due[-1]))
    assert schedule.due_until(now_ms, due_ms=first_ms) == due[:-1][-schedule.most_missed :]


@pytest.mark.parametrize("zone", sorted({zone for zone, _ in CHANGES}))
def test_a_daily_time_runs_once_a_day_for_years(zone: str) -> None:
    schedule = Schedule(cron="30 2 * * *", timezone=zone)
    runs = schedule.next_runs(1000, after=datetime(2025, 1, 1, tzinfo=UTC))
    days = [run.date() for run in runs]
    assert days == [days[0] + timedelta(days=number) for number in range(1000)]
