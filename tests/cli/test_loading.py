"""`taskora worker MODULE:WORKER`: how the worker is found, and what is said when it is not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskora.cli._loading import load_worker
from taskora.cli._main import run
from taskora.contracts import UsageError
from tests.cli.programs import write_module

# Since Python 3.14 annotations are evaluated when somebody asks, and need no quotes.
ONLY_CHECKERS_KNOW = "Unknown" if sys.version_info >= (3, 14) else "'Unknown'"
MODULE = [
    "from taskora.worker import Worker",
    "worker = Worker('memory://loading')",
    "class box:",
    "    inner = Worker('memory://loading')",
    "def make(): return Worker('memory://loading', prefix='made')",
    "def with_default(url='memory://loading'): return Worker(url)",
    f"def annotated(url: {ONLY_CHECKERS_KNOW} = 'memory://loading') -> {ONLY_CHECKERS_KNOW}: return Worker(url)",
    "def needs(argument): return Worker('memory://loading')",
    "def breaks(): return 1 / 0",
    "async def coroutine(): return worker",
    "def number(): return 42",
    "nothing = None",
]
BROKEN = {
    "raises": ["", "1 / 0"],
    "misses": ["import not_there_at_all"],
    "garbled": ["def broken(:"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change into a folder with modules, and forget them afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "shop").mkdir()
    write_module(tmp_path / "shop", "__init__", [])
    write_module(tmp_path / "shop", "jobs", MODULE)
    for name, lines in BROKEN.items():
        write_module(tmp_path, name, lines)
    yield tmp_path
    for name in ("shop", "shop.jobs", *BROKEN):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("folder")
def test_the_module_is_looked_for_in_the_current_directory() -> None:
    worker = load_worker("shop.jobs:worker")
    assert worker is sys.modules["shop.jobs"].worker


@pytest.mark.usefixtures("folder")
def test_the_attribute_is_worker_unless_another_one_is_named() -> None:
    assert load_worker("shop.jobs") is load_worker("shop.jobs:worker")
    assert load_worker("shop.jobs:box.inner") is sys.modules["shop.jobs"].box.inner


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["make", "with_default", "annotated"])
def test_a_function_without_required_arguments_makes_the_worker(name: str) -> None:
    assert load_worker(f"shop.jobs:{name}") is not load_worker(f"shop.jobs:{name}")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "worker must be module or module:attribute, as in shop.jobs:worker, got ''"),
        ("shop/jobs.py", "worker must be module or module:attribute"),
        ("shop.jobs:", "worker must be module or module:attribute"),
        ("a:b:c", "worker must be module or module:attribute"),
        ("nowhere", "there is no module 'nowhere', looked for in"),
        ("shop.orders", "there is no module 'shop.orders', looked for in"),
        ("shop.jobs:other", "has no attribute 'other': name a Worker, or a function without arguments"),
        ("shop.jobs:box.other", "has no attribute 'box.other'"),
        ("shop.jobs:nothing", "shop.jobs:nothing must be a Worker, or a function"),
        ("shop.jobs:needs", "shop.jobs:needs must be a Worker, or a function without arguments"),
        ("shop.jobs:coroutine", "shop.jobs:coroutine must be a Worker, or a function"),
        (
            "shop.jobs:number",
            "or a function without arguments that returns one, got 42",
        ),
        ("shop.jobs:Worker", "shop.jobs:Worker must be a Worker"),
        ("shop.jobs:breaks", "shop.jobs:breaks cannot make its worker: ZeroDivisionError: division by zero"),
        ("raises", "raises.py, line 2); TASKORA_DEBUG=1 shows the traceback"),
        ("misses", "module 'misses' cannot be imported: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("garbled", "module 'garbled' cannot be imported: SyntaxError: "),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_no_worker_is_refused_with_what_was_looked_for(target: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_worker(target)
    assert message in str(caught.value)


@pytest.mark.usefixtures("folder")
def test_the_command_says_so_in_one_line_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["worker", "shop.jobs:other"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.usefixtures("folder")
def test_a_worker_that_implements_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["worker", "shop.jobs:worker"]) == 2
    assert "shop.jobs:worker implements no task" in capsys.readouterr().err
