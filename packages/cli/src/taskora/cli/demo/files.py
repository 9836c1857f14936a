"""What the demo indexes."""

import sysconfig
from pathlib import Path
from typing import Final

# Not the interpreter's own: what others have installed, in the folder of the standard library or below.
_FOREIGN: Final = frozenset({"site-packages", "dist-packages"})
BROKEN_SOURCE: Final = "def broken(:\n    pass\n"


def standard_library() -> Path:
    """The folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def python_files(folder: Path) -> list[Path]:
    """Every Python file in a folder and below, without what is installed there; sorted."""
    found = (path for path in folder.rglob("*.py") if _FOREIGN.isdisjoint(path.relative_to(folder).parts))
    return sorted(path for path in found if path.is_file())


def write_broken_file(folder: Path) -> Path:
    """Makes a file that no parser accepts."""
    path = folder / "broken_on_purpose.py"
    path.write_text(BROKEN_SOURCE, encoding="utf-8")
    return path
