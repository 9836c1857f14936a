"""The demo's worker: the only module that knows how the work is done.

TASKORA_URL=redis://localhost:6379 taskora worker taskora.cli.demo.worker
"""

import ast
import asyncio
import gc
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from taskora.cli.demo.contracts import INDEX_FILE, WATCH_FILE, FileIndex, LongestFunction, SourceFile
from taskora.worker import Context, Keep, Retention, Worker

Function = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


def worker() -> Worker:
    """The worker, on the server that TASKORA_URL names."""
    warnings.simplefilter("ignore", SyntaxWarning)  # of the files that are parsed
    gc.freeze()  # syntax trees make many collections; none of them has to look at what is loaded by now
    # More jobs than are kept by default, since the producer reads the times of all of them at the end.
    retention = Retention(completed=Keep(max_age="1h", max_items=10_000))
    made = Worker(os.environ["TASKORA_URL"], retention=retention)
    made.implement(INDEX_FILE, index_file, concurrency=4)
    made.implement(WATCH_FILE, watch_file)
    return made


def index_file(file: SourceFile) -> FileIndex:
    """Counts what is in a file. Raises `SyntaxError` if it is not Python."""
    source = Path(file.path).read_bytes()
    tree = ast.parse(source, filename=file.path)  # bytes: the parser finds out the encoding
    statements = list(_statements(tree))
    functions = [node for node in statements if isinstance(node, Function)]
    return FileIndex(
        lines=len(source.splitlines()),
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in statements),
        imports=sum(isinstance(node, ast.Import | ast.ImportFrom) for node in statements),
        longest=max(map(_measure, functions), key=lambda function: function.lines, default=None),
    )


async def watch_file(file: SourceFile, ctx: Context) -> None:
    """Watches a file, which never ends by itself: cancelling the job cancels this coroutine."""
    ctx.log.info("watching", path=file.path)
    await asyncio.Event().wait()


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement, however deeply nested. Expressions hold none, so that they need not be walked."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for block in _BLOCKS:
            pending.extend(getattr(node, block, ()))


def _measure(function: Function) -> LongestFunction:
    end = function.lineno if function.end_lineno is None else function.end_lineno
    return LongestFunction(name=function.name, line=function.lineno, lines=end - function.lineno + 1)
