"""The tripwire: what other programs rely on changes on purpose only."""

from typing import Any

import pytest

from taskora.wire import MIN_COMPAT, WIRE_VERSION
from tests.wire.pins import WRITE, checked_in, present

KEYS_CHANGED = f"""
A key is spelled differently, or one came or went.
- A key that older code knows is spelled differently, or means something else: nobody finds what others wrote.
  Raise WIRE_VERSION, and MIN_COMPAT to the same number, in taskora.wire._version, and write down how to migrate.
- A key is new, and code that does not know it still does the right thing: no version changes.
Then check the new names in: {WRITE}
"""
SCRIPTS_CHANGED = f"""
A script has another text. Programs with the old text run beside those with the new one. Decide which it is:
- Both leave the same keys, fields, scores and events, or add some that the old one ignores: no version changes.
- The new one writes what the old one misreads: raise WIRE_VERSION, and MIN_COMPAT to the same number.
- The new one can still be read by the old, but no longer reads what the old writes: raise WIRE_VERSION only.
Both constants are in taskora.wire._version. Then check the new text in: {WRITE}
"""
VERSIONS_CHANGED = f"""
A version constant differs from the one checked in. If that is on purpose, add the migration or the refusal to the
tests, say it in the change log, and check it in: {WRITE}
"""

PINNED, PRESENT = checked_in(), present()


@pytest.mark.parametrize("which", ["keys", "prefixed_keys"])
def test_keys_are_spelled_as_they_were(which: str) -> None:
    assert _changes(which) == {}, KEYS_CHANGED


def test_scripts_are_what_they_were() -> None:
    assert _changes("scripts") == {}, SCRIPTS_CHANGED


def test_versions_are_what_they_were() -> None:
    assert (PINNED["wire_version"], PINNED["min_compat"]) == (WIRE_VERSION, MIN_COMPAT), VERSIONS_CHANGED


def test_the_window_of_versions_is_one() -> None:
    assert 1 <= MIN_COMPAT <= WIRE_VERSION


def _changes(which: str) -> dict[str, tuple[Any, Any]]:
    """What was and what is, by name, where they differ."""
    was, now = PINNED[which], PRESENT[which]
    return {name: (was.get(name), now.get(name)) for name in was | now if was.get(name) != now.get(name)}
