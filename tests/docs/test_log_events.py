"""The guide to workers lists every event name that is logged."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.docs.blocks import ROOT

# `note` is that of workflow troubles, which are logged once.
_SAY: Final = frozenset({"debug", "info", "warning", "error", "exception", "critical", "note"})
_LISTED: Final = re.compile(r"^- Everything else is a stable event name(.*?)^- ", re.MULTILINE | re.DOTALL)
_NAME: Final = re.compile(r"([a-z]+(?:_[a-z]+)+)(?::|$)")


def test_every_logged_event_is_listed_and_no_other() -> None:
    listed = _LISTED.search((ROOT / "docs" / "guides" / "workers.md").read_text())
    assert listed is not None
    assert sorted(set(re.findall(r"`([a-z_]+)`", listed[1])) - {"extra"}) == sorted(set(_logged_events()))


def _logged_events() -> Iterator[str]:
    for part in ("producer", "worker"):
        for path in (ROOT / "packages" / part / "src").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Constant(value=str(said)), *_]):
                        if attr in _SAY and (name := _NAME.match(said)):
                            yield name[1]
                    case _:
                        pass
