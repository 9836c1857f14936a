"""Lists every public name of every part, as its `__all__` says.

Run `python tools/public_names.py` to print the list, with `--write` to check it in, with `--check` to
compare.
Reads the sources without importing them.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKED_IN = ROOT / "tests" / "architecture" / "public_names.txt"


def public_names() -> list[str]:
    """Return the sorted dotted names that users may rely on."""
    return sorted(f"{module}.{name}" for module, path in public_modules() for name in declared(path) or ())


def public_modules() -> Iterator[tuple[str, Path]]:
    """Yield name and file of each module without an underscore anywhere in its name."""
    for source in sorted(ROOT.glob("packages/**/src")):
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            names = parts[:-1] if parts[-1] == "__init__" else parts
            if not any(name.startswith("_") for name in names):
                yield ".".join(names), path


def declared(path: Path) -> list[str] | None:
    """Return the `__all__` of a file, or None when it has none."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value)
            ):
                return list(ast.literal_eval(value))
            case _:
                pass
    return None


def main() -> int:
    """Print, write or compare the list, as the command line says."""
    parser = argparse.ArgumentParser(description="List every public name of every part.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="check the list in")
    action.add_argument("--check", action="store_true", help="fail when the checked-in list differs")
    options = parser.parse_args()
    text = "".join(f"{name}\n" for name in public_names())
    if options.write:
        CHECKED_IN.write_text(text, encoding="utf-8")
    elif options.check:
        if text != CHECKED_IN.read_text(encoding="utf-8"):
            print("public names changed; run: python tools/public_names.py --write", file=sys.stderr)
            return 1
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
