"""What the command line of the benchmarks refuses, before it measures anything."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taskora.bench.__main__ import main
from taskora.bench.peers.__main__ import main as main_of_peers


@pytest.mark.parametrize(
    "words", ["--repeats 0", "--repeats -1", "--repeats x", "--scale 0", "--scale -1", "--scale nan", "--scale inf"]
)
def test_a_number_that_measures_nothing_is_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(words.split())
    assert refusal.value.code == 2
    assert f"argument {words.split(maxsplit=1)[0]}: must be a " in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--repeats 0", "--seconds 0", "--seconds nan"])
def test_a_comparison_refuses_the_same(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main_of_peers(words.split())
    assert refusal.value.code == 2
    assert f"argument {words.split(maxsplit=1)[0]}: must be a " in capsys.readouterr().err


@pytest.mark.parametrize("run", [main, main_of_peers])
@pytest.mark.parametrize("name", ["", "nowhere/figures.json"])
def test_a_file_that_cannot_be_written_is_refused_before_measuring(
    run: Callable[[list[str]], int], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        run(["--json", str(tmp_path / name)])
    assert refusal.value.code == 2
    assert "cannot be written" in capsys.readouterr().err
