"""Reading a source with a parser that forgives mistakes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from parso.grammar import load_grammar
from parso.python.tree import Function, Module
from parso.tree import NodeOrLeaf

from indexer_contracts import LongestFunction, Mistake, SourceIndex, SourceToIndex

_GRAMMAR: Final = cast("Any", load_grammar())  # parso's own annotations say too little
_IMPORTS: Final = frozenset({"import_name", "import_from"})


class OutsideRootError(Exception):
    """A job asked for a file that is not below the root directory."""


def index_source(request: SourceToIndex) -> SourceIndex:
    """Counts what is in a source.

    Raises:
        FileNotFoundError: there is no such file.
        OutsideRootError: the file is not below the directory that INDEXER_ROOT names.
    """
    source = request.source if request.source is not None else _read(request.path or "")
    tree: Module = _GRAMMAR.parse(source)
    nodes = list(_walk(tree))
    functions = [_measure(node) for node in nodes if isinstance(node, Function)]
    return SourceIndex(
        lines=len(source.splitlines()),
        functions=len(functions),
        classes=sum(node.type == "classdef" for node in nodes),
        imports=sum(node.type in _IMPORTS for node in nodes),
        longest=max(functions, key=lambda function: function.lines, default=None),
        mistakes=[Mistake(line=issue.start_pos[0], message=issue.message) for issue in _GRAMMAR.iter_errors(tree)],
    )


def _read(path: str) -> str:
    root = Path(os.environ.get("INDEXER_ROOT", ".")).resolve()
    file = (root / path).resolve()
    if not file.is_relative_to(root):
        raise OutsideRootError(f"{path} is not below the root directory")
    return file.read_text(encoding="utf-8", errors="replace")


def _walk(tree: Module) -> Iterator[NodeOrLeaf]:
    """Every node, however deeply nested."""
    pending: list[NodeOrLeaf] = [tree]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(getattr(node, "children", ()))


def _measure(function: Function) -> LongestFunction:
    start, end = function.start_pos[0], function.children[-1].get_last_leaf().start_pos[0]
    return LongestFunction(name=function.name.value, line=start, lines=end - start + 1)
