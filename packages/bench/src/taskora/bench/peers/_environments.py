"""An environment for each library, since no two of them want the same versions of what they share."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taskora.bench.peers import drivers
from taskora.bench.peers._catalog import OURS, Peer

_DRIVERS: Final = Path(drivers.__file__).parent
_SOURCES: Final = _DRIVERS.parents[3]
_LOCKS: Final = _DRIVERS.parent / "locks"
_STAMP: Final = "installed"
_INSTALL_SECONDS: Final = 300.0


class UnavailableError(Exception):
    """A library cannot be run here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """How the drivers of one library are started: words before the scenario, and variables beside those of ours."""

    command: tuple[str, ...]
    variables: Mapping[str, str]


def prepare(peer: Peer, home: Path, uv: str) -> Environment:
    """Installs what a peer needs below `home`, unless that has been done.

    Raises:
        UnavailableError: it cannot be installed, or what it runs on is missing.
    """
    if peer == OURS:
        return _python(sys.executable, peer)
    if peer.language == "node":
        return _prepare_node(peer, home.resolve() / peer.name)
    directory = home.resolve() / peer.name
    lock = lock_of(peer)
    python = directory / "bin" / "python"
    if not _is_stamped(directory, lock.read_text()):
        shutil.rmtree(directory, ignore_errors=True)
        _install(uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(directory))
        _install(uv, "pip", "sync", "--quiet", "--python", str(python), str(lock))
        _stamp(directory, lock.read_text())
    return _python(str(python), peer)


def lock_of(peer: Peer) -> Path:
    """The file that pins everything a peer is installed with."""
    return _LOCKS / f"{peer.name}.txt"


def lock(peer: Peer, uv: str) -> None:
    """Resolves a peer's requirements for every platform and writes its lock."""
    command = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--no-header",
        "--no-annotate",
        "--python-version",
        "3.11",
    ]
    done = subprocess.run(
        [*command, "-"], input="\n".join(peer.requirements), capture_output=True, text=True, check=True
    )
    lock_of(peer).write_text(done.stdout)


def _prepare_node(peer: Peer, directory: Path) -> Environment:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise UnavailableError("node and npm are not installed, and no other driver needs them")
    wanted = "\n".join(peer.requirements)
    if not _is_stamped(directory, wanted):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        options = ("--no-package-lock", "--no-audit", "--no-fund", "--silent", "--prefix", str(directory))
        _install(npm, "install", *options, *peer.requirements)
        _stamp(directory, wanted)
    program = _DRIVERS / f"{peer.driver}.cjs"
    return Environment(command=(node, str(program)), variables={"NODE_PATH": str(directory / "node_modules")})


def _python(python: str, peer: Peer) -> Environment:
    # The namespace package taskora has no other part in there, so only what drivers may import can be imported.
    variables = {} if peer == OURS else {"PYTHONPATH": str(_SOURCES), "PYTHONDONTWRITEBYTECODE": "1"}
    return Environment(command=(python, "-m", f"{drivers.__name__}", peer.driver), variables=variables)


def _install(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=_INSTALL_SECONDS, env=environment)
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr or error.stdout).strip().splitlines()
        raise UnavailableError(f"cannot be installed: {' / '.join(lines[-3:])}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"cannot be installed: {error}") from error


def _is_stamped(directory: Path, wanted: str) -> bool:
    stamp = directory / _STAMP
    return stamp.exists() and stamp.read_text() == _digest(wanted)


def _stamp(directory: Path, wanted: str) -> None:
    (directory / _STAMP).write_text(_digest(wanted))


def _digest(wanted: str) -> str:
    return hashlib.sha256(f"{sys.version}\n{wanted}".encode()).hexdigest()
