"""What other programs, of this and other versions, rely on: key names, scripts, versions.

`python -m tests.wire.pins --write` checks the present ones in as `pinned.json`.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from taskora.contracts.records import field_names
from taskora.wire import MIN_COMPAT, WIRE_VERSION, Keyspace
from taskora.wire._transitions import SCRIPTS

PINNED: Final = Path(__file__).with_name("pinned.json")
WRITE: Final = "python -m tests.wire.pins --write"


def present() -> dict[str, Any]:
    """The pins as the code has them now."""
    return {
        "wire_version": WIRE_VERSION,
        "min_compat": MIN_COMPAT,
        "keys": keys(None),
        "prefixed_keys": keys("app"),
        "scripts": {script.name: script.sha for script in SCRIPTS},
    }


def keys(prefix: str | None) -> dict[str, str]:
    """Every key and channel that is built outside of scripts, by the name of its builder."""
    space = Keyspace(prefix)
    task = space.task("mail.send")
    built = {
        name: getattr(task, name) for name in sorted(field_names(type(task))) if isinstance(getattr(task, name), str)
    }
    return {
        **built,
        "job_key": task.job_key("j1"),
        "lock_key": task.lock_key("j1"),
        "logs_key": task.logs_key("j1"),
        "finished_key": task.finished_key("completed"),
        "meta_key": space.meta_key,
        "migration_lock_key": space.migration_lock_key,
        "schedules_key": space.schedules_key,
        "schedules_next_key": space.schedules_next_key,
        "schedules_lock_key": space.schedules_lock_key,
        "task_pattern": space.task_pattern,
    }


def checked_in() -> dict[str, Any]:
    """The pins as they were last checked in."""
    pins: dict[str, Any] = json.loads(PINNED.read_text())
    return pins


def main() -> int:
    """Write the pins, or say how to."""
    if sys.argv[1:] != ["--write"]:
        print(f"usage: {WRITE}")
        return 2
    PINNED.write_text(json.dumps(present(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
