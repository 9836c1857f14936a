"""What the demo prints, on a terminal and where there is none."""

import io
import json
from dataclasses import replace

from rich.console import Console

from taskora.cli.demo.contracts import LongestFunction
from taskora.cli.demo.display import ProgressDisplay, show_report
from taskora.cli.demo.producer import CancelledJob
from taskora.cli.demo.report import DeadLetter, FoundFunction, Percentiles, Report, Totals, report_shape
from taskora.contracts import JobState

OUR_LETTER = DeadLetter(id="j1", file="broken.py", error="invalid syntax", attempts=1, deliberate=True)
THEIR_LETTER = DeadLetter(id="j2", file="bad.py", error="a [b]\x1b[31m\nc" + "x" * 200, attempts=1, deliberate=False)
REPORT = Report(
    files=1000,
    completed=998,
    failed=2,
    workers=2,
    totals=Totals(lines=123456, functions=2345, classes=345, imports=45),
    longest=[FoundFunction(file="ast.py", function=LongestFunction(name="walk", line=7, lines=99))],
    seconds=4.0,
    latency=Percentiles(p50=10.04, p95=20, p99=30),
    run=Percentiles(p50=1, p95=2, p99=3),
    dead_letters=[THEIR_LETTER, OUR_LETTER],
    cancelled=CancelledJob(id="j3", state=JobState.CANCELLED, reason="enough"),
)


def _printed(report: Report, *, encoding: str = "utf-8") -> list[str]:
    with io.TextIOWrapper(io.BytesIO(), encoding=encoding) as output:
        show_report(report, Console(file=output, width=160))
        output.seek(0)
        return output.read().splitlines()


def test_the_report_shows_everything_that_there_is_to_see() -> None:
    lines = _printed(REPORT)
    text = "\n".join(lines)
    for words in ("1,000", "123,456", "walk", "ast.py:7", "250", "p95 ms", "Dead letters: 2 jobs"):
        assert words in text
    assert "  job j3 is cancelled: enough" in lines
    ours, theirs = (next(line for line in lines if name in line) for name in ("broken.py", "bad.py"))
    assert "this demo's" in ours
    assert "Python's own" in theirs
    assert lines.index(ours) < lines.index(theirs)


def test_what_errors_quote_cannot_play_tricks() -> None:
    text = "\n".join(_printed(REPORT))
    assert all(character == "\n" or character.isprintable() for character in text)
    assert "a [b]?[31m; cx" in text


def test_the_report_can_be_printed_in_ascii() -> None:
    assert any("Longest functions" in line for line in _printed(REPORT, encoding="ascii"))


def test_the_report_for_programs_is_plain_json() -> None:
    shape = json.loads(json.dumps(report_shape(replace(REPORT, dead_letters=[OUR_LETTER]))))
    assert shape == {
        "files": 1000,
        "completed": 998,
        "failed": 2,
        "workers": 2,
        "totals": {"lines": 123456, "functions": 2345, "classes": 345, "imports": 45},
        "longest_functions": [{"file": "ast.py", "name": "walk", "line": 7, "lines": 99}],
        "duration_ms": 4000,
        "files_per_second": 250.0,
        "latency_ms": {"p50": 10.0, "p95": 20, "p99": 30},
        "run_ms": {"p50": 1, "p95": 2, "p99": 3},
        "dead_letters": [
            {"id": "j1", "file": "broken.py", "error": "invalid syntax", "attempts": 1, "deliberate": True}
        ],
        "cancelled": {"id": "j3", "state": "cancelled", "reason": "enough"},
    }


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal() -> None:
    output = io.StringIO()
    _advance(Console(file=output, width=160), 10)
    assert output.getvalue().splitlines() == [
        "indexing the standard library: 10 files",
        *(f"{count} of 10 files" for count in (3, 5, 8, 10)),
    ]


def test_progress_is_a_bar_on_a_terminal() -> None:
    output = io.StringIO()
    _advance(Console(file=output, width=160, force_terminal=True), 10)
    assert "10/10" in output.getvalue()
    assert "of 10 files" not in output.getvalue()


def _advance(console: Console, total: int) -> None:
    with ProgressDisplay(console) as progress:
        progress.start(total)
        for _ in range(total):
            progress.advance()
