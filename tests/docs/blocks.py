"""Finding code blocks in Markdown files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("apps/*/README.md")])

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+)(?P<info>.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. `line` is the number of its first line of code."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield every fenced block of a page, in order."""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if opening := _FENCE.match(line):
            indent, fence = len(opening["indent"]), opening["fence"]
            code: list[str] = []
            for _, inner in lines:
                if inner.strip() == fence:
                    break
                code.append(inner[indent:])
            else:
                raise AssertionError(f"{page.relative_to(ROOT)}:{number}: the block has no end")
            yield Block(page=page, line=number + 1, language=opening["info"].strip(), code="\n".join(code))


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages that are in one of some languages; all of them if none is given."""
    return [block for page in PAGES for block in blocks_of(page) if not languages or block.language in languages]


def program_of(page: Path) -> str:
    """Return the Python blocks of a page as one program, in which every line has the number it has on the page."""
    lines: list[str] = []
    for block in blocks_of(page):
        if block.language == "python":
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.code.split("\n")
    return "\n".join(lines) + "\n"
