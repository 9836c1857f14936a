"""Generates the synchronous surface of the producer from the asyncio one, so that the twins cannot drift apart.

Usage: `python tools/unasync.py` writes the files; `--check` only compares them and exits 1 when one is stale.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "packages/producer/src/taskora/producer"
SOURCE, TARGET = PACKAGE / "_async", PACKAGE / "_sync"

# In this order: longer forms first.
RULES = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\b__aiter__\b", "__iter__"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bAsyncGenerator\b", "Generator"),
    (r"\bAsyncItems\b", "Items"),
    (r"\bAsyncTarget\b", "SyncTarget"),
    (r"\bAsync(BoundTask|DeadLetters|EventStream|Inspector|JobHandle)\b", r"\1"),
    (r"\bAsync(Producer|Schedules|Session|WorkflowHandle)\b", r"\1"),
    (r"\btaskora\.producer\._async_session\b", "taskora.producer._session"),
    (r"\btaskora\.producer\._async_streaming\b", "taskora.producer._streaming"),
    (r"\btaskora\.producer\._async\b", "taskora.producer._sync"),
    (r"  # noqa: ASYNC109[^\n]*", ""),
    (r"The asyncio surface\. Its synchronous twin in `_sync` is generated from it by tools/unasync\.py\.",
     "The synchronous surface, generated from `_async` by tools/unasync.py: do not edit."),
)  # fmt: skip


def translate(text: str) -> str:
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    return text


def tidy(text: str) -> str:
    """Sorts imports, folds lines that became shorter, and yields from what only asyncio has to loop over."""
    fix = ["check", "--select", "I,UP028", "--fix", "--unsafe-fixes", "-q", "-"]
    for command in (fix, ["format", "-q", "-"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(TARGET / "generated.py")]
        done = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True)
        text = done.stdout
    return text


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale: list[str] = []
    TARGET.mkdir(exist_ok=True)
    for source in sorted(SOURCE.glob("*.py")):
        target = TARGET / source.name
        text = tidy(translate(source.read_text()))
        if target.exists() and target.read_text() == text:
            continue
        stale.append(source.name)
        if not check:
            target.write_text(text)
    for target in sorted(TARGET.glob("*.py")):
        if not (SOURCE / target.name).exists():
            stale.append(target.name)
            if not check:
                target.unlink()
    if check and stale:
        print(f"packages/producer _sync is stale ({', '.join(stale)}): run `python tools/unasync.py`")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
