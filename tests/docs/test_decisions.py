"""The index of the documentation lists every decision."""

import re
from typing import Final

from tests.docs.blocks import ROOT

_ROW: Final = re.compile(r"^\| \[(\d{4})\]\(decisions/(.*)\) \| (.*) \|$", re.MULTILINE)


def test_the_index_lists_all_decisions_in_their_order_and_by_their_titles() -> None:
    pages = sorted(ROOT.glob("docs/decisions/*.md"))
    listed = [(page.name[:4], page.name, page.read_text().splitlines()[0]) for page in pages]
    rows = _ROW.findall((ROOT / "docs" / "index.md").read_text())
    assert [(number, name, f"# {number}: {title}") for number, name, title in rows] == listed
