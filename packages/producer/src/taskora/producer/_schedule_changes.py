"""Changing some options of a schedule."""

import json
from typing import Any

from taskora.contracts import Schedule, ScheduleOptions, UsageError
from taskora.contracts.records import replace


def changed(schedule: Schedule, options: ScheduleOptions) -> Schedule:
    """A schedule with some options changed; an interval replaces an expression with its zone, and the other way."""
    changes: dict[str, Any] = {**options}
    if changes.get("every") is not None:
        changes = {"cron": None, "timezone": None, **changes}
    elif changes.get("cron") is not None:
        changes = {"every": None, **changes}
    if "data" in changes:
        changes = {**changes, "data": _plain(changes["data"])}
    return replace(schedule, **changes)


def _plain(data: object) -> object:
    try:
        return json.loads(json.dumps(data, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"data of a schedule must be plain JSON values: {error}") from None
