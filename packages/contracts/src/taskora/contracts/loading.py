"""Packages whose names are loaded when they are asked for: the one way in which all packages of taskora do it.

A package says what it has, to checkers as imports, and to Python as a table; a test compares the two:

```
if TYPE_CHECKING:
    from taskora.wire._ids import random_id
else:
    __getattr__, __dir__ = lazily(__name__, {"._ids": "random_id"})
```
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """What `__getattr__` and `__dir__` of a package have to be, for the names in `homes` to be loaded on demand.

    A name that has been asked for is an attribute of the package from then on. Threads that ask at the same time wait
    for each other in the import system, as for any import.

    Args:
        package: The name of the package.
        homes: Which module has which names, separated by spaces. A dot at its beginning stands for the package.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def load(name: str) -> object:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(home, package), name)
        setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return load, names
