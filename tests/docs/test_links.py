"""Links between pages lead somewhere, and a test that a page names exists."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.architecture.repository import ROOT

PAGES = sorted(
    [
        *ROOT.glob("docs/**/*.md"),
        *(page for name in ("README", "CONTRIBUTING") if (page := ROOT / f"{name}.md").exists()),
    ]
)
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

FENCE = re.compile(r"^(```+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
NAMED_TEST = re.compile(r"`(test_\w+)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A relative link, as it is written and where it leads."""

    text: str
    target: str
    path: Path
    anchor: str


@EACH_PAGE
def test_relative_links_lead_somewhere(page: Path) -> None:
    assert [link.target for link in links_of(page) if not leads_somewhere(link)] == []


@EACH_PAGE
def test_a_test_that_a_page_names_exists(page: Path) -> None:
    missing = [
        name
        for link in links_of(page)
        for name in NAMED_TEST.findall(link.text)
        if f"def {name}(" not in link.path.read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs/index.md"
    seen, ahead = {index}, [index]
    while ahead:
        for link in links_of(ahead.pop()):
            if link.path.suffix == ".md" and link.path not in seen:
                seen.add(link.path)
                ahead.append(link.path)
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - seen == set()


def test_headings_become_the_anchors_that_code_hosts_make_of_them() -> None:
    text = "# Two words\n## `code`, and: more!\n## Twice\n## Twice\n## [A link](x.md)\n"
    assert anchors_of(text) == {"two-words", "code-and-more", "twice", "twice-1", "a-link"}


def links_of(page: Path) -> Iterator[Link]:
    """The links of a page that stay within the repository, those in code left out."""
    for text, target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if SCHEME.match(target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.parent / name).resolve() if name else page
        yield Link(text=text, target=target, path=path, anchor=anchor)


def leads_somewhere(link: Link) -> bool:
    if not link.path.exists() or not link.path.is_relative_to(ROOT):
        return False
    return not link.anchor or link.anchor in anchors_of(link.path.read_text(encoding="utf-8"))


def anchors_of(text: str) -> set[str]:
    anchors: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = LINK.sub(r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        times = sum(1 for anchor in anchors if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", anchor))
        anchors.add(slug if times == 0 else f"{slug}-{times}")
    return anchors
