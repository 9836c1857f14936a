"""What the architecture tests look at: members, sources and tracked files."""

import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_FOLDERS = {"__pycache__", "dist", "build", "node_modules"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A distribution of the workspace."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["project"]["name"])

    @property
    def version(self) -> str:
        return str(self.manifest["project"]["version"])

    @property
    def module(self) -> str | None:
        """The dotted module that the distribution installs, or None for one that only has dependencies."""
        declared = self.manifest["tool"]["uv"]["build-backend"]["module-name"]
        return declared if isinstance(declared, str) else None

    @property
    def requirements(self) -> list[str]:
        project = self.manifest["project"]
        extras = project.get("optional-dependencies", {}).values()
        return [*project.get("dependencies", ()), *(line for extra in extras for line in extra)]


def load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def packages() -> list[Member]:
    """Return every distribution under packages/."""
    manifests = sorted(ROOT.glob("packages/**/pyproject.toml"))
    return [Member(folder=path.parent, manifest=load(path)) for path in manifests]


def apps() -> list[Member]:
    """Return every distribution under apps/."""
    return [Member(folder=path.parent, manifest=load(path)) for path in sorted(ROOT.glob("apps/*/pyproject.toml"))]


def parts() -> list[Member]:
    """Return every distribution that installs a module."""
    return [member for member in packages() if member.module is not None]


def sources() -> list[Path]:
    """Return every Python file of the product and of its tools."""
    return sorted(
        [*ROOT.glob("packages/**/src/**/*.py"), *ROOT.glob("apps/*/src/**/*.py"), *ROOT.glob("tools/**/*.py")]
    )


def tracked_files() -> Iterator[Path]:
    """Yield every file under version control, or every file of an unpacked archive."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode == 0:
        names = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:
        names = [path for path in ROOT.rglob("*") if not _is_skipped(path)]
    yield from (path for path in names if path.is_file())


def _is_skipped(path: Path) -> bool:
    folders = path.relative_to(ROOT).parts[:-1]
    hidden = [folder for folder in folders if folder.startswith(".") and folder != ".ci"]
    return bool(hidden or SKIPPED_FOLDERS.intersection(folders))
