"""What may be changed of a schedule while it runs."""

from datetime import datetime
from typing import TypedDict

from taskora.contracts import Duration, OnMissed


class ScheduleChanges(TypedDict, total=False):
    """Options of a schedule; see `Schedule`.

    Keys:
        every: The interval; instead of an expression.
        cron: The expression; instead of an interval.
        timezone: The zone of the expression.
        data: Input of every run, as plain JSON values.
        on_missed: What happens to runs that were due while no scheduler ran.
        overlap: Whether a run may be dispatched while the one before it has not ended.
        start: No run is due before; None for no bound.
        end: No run is due after; None for no bound.
        jitter: Each run starts up to this much later.
    """

    every: Duration | None
    cron: str | None
    timezone: str | None
    data: object
    on_missed: OnMissed
    overlap: bool
    start: datetime | None
    end: datetime | None
    jitter: Duration | None


def check_changes(changes: ScheduleChanges) -> None:
    """Refuses options that do not exist, as Python refuses arguments."""
    unknown = sorted(changes.keys() - ScheduleChanges.__optional_keys__)
    if unknown:
        raise TypeError(f"a schedule has no option {', '.join(map(repr, unknown))}")
