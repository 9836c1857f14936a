"""`python -m taskora.bench.peers [--peers NAMES] [--repeats N] [--seconds S] [--json FILE]`."""

import argparse
import os
import platform
import shutil
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from taskora.bench._arguments import amount, count, file_to_write
from taskora.bench.peers._catalog import OURS, PEERS, Peer
from taskora.bench.peers._document import Comparison
from taskora.bench.peers._environments import Environment, UnavailableError, lock, prepare
from taskora.bench.peers._run import compare
from taskora.bench.peers._server import describe_server, fresh_server
from taskora.bench.peers._table import show

# Where nobody says how wide a line may be.
_WIDTH: Final = 160


def main(arguments: list[str]) -> int:
    """Installs, measures and prints; with `--lock`, only resolves the versions of everything again."""
    options = _parser().parse_args(arguments)
    # So that servers and drivers end with a run that is ended.
    signal.signal(signal.SIGTERM, _end)
    if options.lock:
        for peer in PEERS:
            if peer.language == "python":
                lock(peer, options.uv)
        return 0
    comparison = _compare(options)
    show(comparison, Console() if sys.stdout.isatty() else Console(width=_WIDTH))
    if options.json:
        Path(options.json).write_text(comparison.to_json())
    return 1 if any(library.failed for library in comparison.libraries) else 0


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="taskora.bench.peers", description="Measures taskora beside other queues.")
    names = ", ".join(peer.name for peer in PEERS)
    parser.add_argument("--peers", type=_peers, default=PEERS, help=f"which, with commas between (default: {names})")
    parser.add_argument("--repeats", type=count, default=3, help="how often each scenario runs (default: 3)")
    parser.add_argument("--seconds", type=amount, default=1.2, help="how long each scenario may take (default: 1.2)")
    parser.add_argument("--json", type=file_to_write, metavar="FILE", help="also write the figures to a file")
    parser.add_argument("--environments", type=Path, default=Path(".tools/peers"), help="where peers are installed")
    parser.add_argument("--uv", default=shutil.which("uv") or ".tools/uv", help="the uv that installs them")
    parser.add_argument("--lock", action="store_true", help="write the lock files again instead of measuring")
    return parser


def _peers(names: str) -> Sequence[Peer]:
    known = {peer.name: peer for peer in PEERS}
    try:
        return [known[name] for name in names.split(",") if name]
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"there is no {error}; known are {', '.join(known)}") from error


def _compare(options: argparse.Namespace) -> Comparison:
    load, date = os.getloadavg()[0], datetime.now(UTC)
    entrants = [(peer, _prepare(peer, options)) for peer in (OURS, *options.peers)]
    with fresh_server() as url:
        server = describe_server(url)
    libraries = compare(entrants, repeats=options.repeats, seconds=options.seconds, announce=_announce)
    return Comparison(
        date=date.isoformat(timespec="seconds"),
        machine=_machine(),
        cores=os.cpu_count() or 1,
        load=load,
        python=platform.python_version(),
        server=server,
        repeats=options.repeats,
        seconds=options.seconds,
        libraries=libraries,
    )


def _prepare(peer: Peer, options: argparse.Namespace) -> Environment | str:
    try:
        _announce(f"preparing {peer.title}")
        return prepare(peer, options.environments, options.uv)
    except UnavailableError as error:
        _announce(f"  {peer.title} is left out: {error}")
        return str(error)


def _machine() -> str:
    """The processor, where the system tells, and the system."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return f"{processor}, {platform.system()} {platform.release()}"


def _announce(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
