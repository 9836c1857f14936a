"""What users may import changes on purpose only."""

import ast

from tests.architecture.repository import parts
from tools.public_names import CHECKED_IN, declared, public_modules, public_names


def test_public_names_equal_the_checked_in_list() -> None:
    listed = CHECKED_IN.read_text(encoding="utf-8").splitlines()
    assert public_names() == listed, "run: python tools/public_names.py --write"


def test_every_part_with_code_declares_its_public_names_once_each() -> None:
    """ruff's RUF022 keeps them sorted."""
    modules = dict(public_modules())
    for member in parts():
        assert member.module is not None
        path = modules[member.module]
        names = declared(path)
        has_code = len(ast.parse(path.read_text(encoding="utf-8")).body) > 1
        assert names is not None or not has_code, f"{member.module} has no __all__"
        assert len(set(names or ())) == len(names or ())
