"""How commands end that cannot do their work."""

import importlib.metadata
from pathlib import Path

import pytest
import redis

from taskora.cli._exit_codes import MEANINGS, ExitCode
from taskora.cli._main import run
from tests.cli.programs import Command

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "cli.md"
READING = [("stats",), ("job", "one"), ("dispatch", "add", "1")]


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: arguments[0])
def test_a_server_that_is_not_there_ends_with_code_3(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run([*arguments, "--url", "redis://:hunter2@127.0.0.1:1"])
    captured = capsys.readouterr()
    assert (code, captured.out) == (3, "")
    assert "the server cannot be reached" in captured.err
    assert "hunter2" not in captured.err
    assert len(captured.err.splitlines()) == 1


def test_data_of_a_newer_wire_version_end_with_code_3(command: Command, redis_raw: redis.Redis) -> None:
    command("dispatch", "add", "1")
    redis_raw.hset("taskora:meta", mapping={"wireVersion": "99", "minCompat": "99"})
    refused = command("stats")
    assert (refused.code, refused.out) == (3, "")
    assert "theirs_too_new" in refused.err
    assert "upgrade taskora in this process" in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), "No such command 'nope'; see taskora --help"),
        (("stats", "--url", "http://x"), "url scheme must be"),
        (("worker", "m", "--processes", "0"), "see taskora worker --help"),
        (("worker", "m", "--log-level", "loud"), "see taskora worker --help"),
    ],
)
def test_a_usage_error_is_one_line_and_code_2(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(arguments)
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_traceback_is_shown_on_request_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASKORA_DEBUG", raising=False)
    run(["stats", "--url", "http://x"])
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("TASKORA_DEBUG", "1")
    run(["stats", "--url", "http://x"])
    assert capsys.readouterr().err.startswith("Traceback")


def test_a_bug_is_called_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("taskora.cli._commands.stats.print_json", broken)
    assert run(["stats", "--json", "--url", "memory://bug"]) == ExitCode.INTERNAL
    assert "unexpected KeyError: 'oops'; this is a bug" in capsys.readouterr().err


def test_an_interrupt_ends_with_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taskora.cli._commands.stats.print_json", interrupt)
    assert run(["stats", "--json", "--url", "memory://interrupt"]) == ExitCode.INTERRUPTED


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"taskora {importlib.metadata.version('taskora-cli')}\n"


def test_the_help_names_every_command_and_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for command in ("demo", "worker", "dispatch", "stats", "job"):
        assert f" {command} " in text
    for code, meaning in MEANINGS.items():
        assert f"{code.value}  {meaning}" in text


def test_the_guide_lists_the_exit_codes() -> None:
    rows = [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    assert "\n".join(rows) in GUIDE.read_text(encoding="utf-8")


def test_no_command_prints_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Usage: taskora" in capsys.readouterr().out
