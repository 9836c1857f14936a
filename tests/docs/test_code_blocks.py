"""Every code block of README.md, docs/ and apps/*/README.md is what it claims to be.

- `python`: all such blocks of a page are one program, run in a process of its own, in an empty directory, with
  warnings as errors. What a page shows must run: against `memory://` or `embedded://`. A traceback names the lines of
  the page. Code that cannot run belongs into a `text` block.
- `console`: lines that start with `$ ` are commands, the others what they print. `sh`: every line is a command.
  Commands are not run: `taskora` commands must parse, targets of `make`, modules, distributions and extras must
  exist, and other programs must be known to `tests/docs/commands.py`.
- `json` and `toml` must parse. `text` and a few others are left alone. A block without a language is an error.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, blocks, blocks_of, program_of
from tests.docs.commands import commands_of, objections_to

JUDGED = frozenset({"console", "json", "python", "sh", "toml"})
LEFT_ALONE = frozenset({"dockerfile", "ini", "lua", "mermaid", "text", "typescript", "yaml"})
PYTHON_PAGES = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_has_a_language_that_is_known(page: Path) -> None:
    unknown = [f"{block}: {block.language!r}" for block in blocks_of(page) if block.language not in JUDGED | LEFT_ALONE]
    assert unknown == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    program = tmp_path / f"{page.stem.replace('-', '_')}.py"
    program.write_text(program_of(page), encoding="utf-8")
    command = [sys.executable, "-W", "error", program.name]
    environment = os.environ | {"PYTHONSAFEPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, f"{page.relative_to(ROOT)}, same line numbers:\n{done.stderr}"


@pytest.mark.parametrize("block", blocks("console", "sh"), ids=str)
def test_the_commands_of_a_block_would_be_understood(block: Block) -> None:
    commands = list(commands_of(block))
    assert commands, "a console block shows commands after '$ '; what is only output belongs into a text block"
    assert {line: found for line in commands if (found := objections_to(line))} == {}


@pytest.mark.parametrize("block", blocks("json", "toml"), ids=str)
def test_a_block_of_data_parses(block: Block) -> None:
    {"json": json.loads, "toml": tomllib.loads}[block.language](block.code)


def test_the_readme_shows_a_program() -> None:
    assert ROOT / "README.md" in PYTHON_PAGES


@pytest.mark.parametrize(
    ("line", "objections"),
    [
        ("taskora stats --json | cat", []),
        ("A=1 B=2 taskora dispatch x '{}' --wait < payload.json", []),
        ("taskora nope", ["taskora has no command ['nope']"]),
        ("taskora stats --nope", ["taskora stats: No such option: --nope"]),
        ("make demo test ARGS=x", []),
        ("make nope && taskora nope", ["the Makefile has no target ['nope']", "taskora has no command ['nope']"]),
        ('pip install "taskora[embedded,fast]" redis', []),
        ("pip install taskora[nope]", ["taskora has no extra ['nope']"]),
        ("uv add taskora-nope", ["there is no distribution taskora-nope"]),
        ("python -m taskora.cli --version", []),
        ("python -m taskora.nope.nope", ["there is no module taskora.nope.nope"]),
        ("python shop.py; python tools/nope.py", ["there is no file tools/nope.py"]),
        ("uv run --package indexer-api uvicorn --factory indexer_nope:app", ["there is no module indexer_nope:app"]),
        ("rm -rf x", ["rm is not known to tests/docs/commands.py: add it there, or show it in a text block"]),
    ],
)
def test_commands_are_judged(line: str, objections: list[str]) -> None:
    assert objections_to(line) == objections
