"""Payloads as they once were, kept in files, and replayed through what a worker does with them today."""

import json
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from taskora.contracts import TaskContract, UsageError, ValidationError
from taskora.producer import Payloads
from taskora.wire import Claim
from taskora.worker import Implementation, Worker, WorkerTask, decode_input

I = TypeVar("I")  # noqa: E741 - input

StrPath: TypeAlias = "str | PathLike[str]"
Replayed: TypeAlias = Worker | WorkerTask[Any, Any]

_DEFAULT_NAME: Final = "basic"


def record_golden(contract: TaskContract[I, Any], data: I, path: StrPath, *, name: str = _DEFAULT_NAME) -> Path:
    """Writes a payload of the contract's present version to `<path>/<task>/v<version>/<name>.json`.

    `path` may also be that file itself. Run it once per version, and check the file in. A payload that is recorded
    already stays as it is: it is what producers of that version sent. Returns the file.

    Raises:
        UsageError: `path` is a file in another place.
        ValidationError: the data does not fit the contract.
        AssertionError: there is another payload of that name and version.
    """
    file = _file(contract, Path(path), name)
    plain = json.loads(Payloads(contract).input.pack(data))
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    elif _read(file) != plain:
        raise AssertionError(
            f"{file} holds another payload: what version {contract.version} of task {contract.name!r} once was does "
            "not change. Raise the version, give this payload another name, or delete the file if it never was in use"
        )
    return file


def _file(contract: TaskContract[Any, Any], path: Path, name: str) -> Path:
    folder = Path(contract.name) / f"v{contract.version}"
    if path.suffix != ".json":
        return path / folder / f"{name}.json"
    if path.parts[-3:-1] != folder.parts:
        raise UsageError.for_field("path", str(path), f"a directory, or a file {folder / '<name>.json'} in one")
    return path


def assert_golden_payloads(replayed: Replayed, directory: StrPath) -> None:
    """Replays stored payloads through the migrations and the validation of a worker, or of one of its tasks.

    For every task and every version from `since` to its own there must be at least one payload.

    Raises:
        AssertionError: a payload is not understood any more, or a version has none; the message lists them all.
        UsageError: the task is not implemented, or the worker implements nothing.
    """
    problems = [
        problem
        for implementation in _implementations(replayed)
        for problem in _problems(implementation, Path(directory) / implementation.task)
    ]
    if problems:
        raise AssertionError("golden payloads:" + "".join(f"\n  - {problem}" for problem in problems))


def _implementations(replayed: Replayed) -> Sequence[Implementation[Any, Any]]:
    if isinstance(replayed, Worker):
        found = list(replayed.implementations.values())
        if not found:
            raise UsageError("the worker implements nothing: is the module imported that has its handlers?")
        return found
    if replayed.implementation is None:
        raise UsageError(f"task {replayed.name!r} is not implemented by its worker: there is nothing to replay through")
    return [replayed.implementation]


def _problems(implementation: Implementation[Any, Any], folder: Path) -> Iterator[str]:
    task = implementation.task
    for version in range(implementation.since, implementation.version + 1):
        paths = sorted((folder / f"v{version}").glob("*.json"))
        if not paths:
            yield (
                f"task {task!r} accepts version {version} (since={implementation.since}, "
                f"version={implementation.version}), and {folder / f'v{version}'} has no payload of it: "
                "record one with record_golden(), or raise since"
            )
        for path in paths:
            yield from _objections(implementation, version, path)
    for version, found in _newer(folder, implementation.version):
        yield f"{found} is of version {version}, the worker understands task {task!r} up to {implementation.version}"


def _newer(folder: Path, version: int) -> Iterator[tuple[int, Path]]:
    for found in sorted(folder.glob("v*")):
        number = found.name[1:]
        if number.isdecimal() and int(number) > version:
            yield int(number), found


def _objections(implementation: Implementation[Any, Any], version: int, path: Path) -> Iterator[str]:
    try:
        plain = _read(path)
    except ValueError as error:
        yield f"{path} cannot be read as JSON: {error}"
        return
    payloads = implementation.payloads
    data = payloads.input.encode_plain(plain if payloads.batch is None else [plain])
    claim = Claim(job_id=path.stem, token="", data=data, version=version, attempt=1, timestamp_ms=0)
    try:
        decode_input(implementation, claim)
    except ValidationError as error:
        yield f"{path} is not understood any more: {error}"


def _read(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))
