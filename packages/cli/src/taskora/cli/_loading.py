"""From `module:attribute` to a worker."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Final

from taskora.contracts import TaskoraError, UsageError
from taskora.worker import Worker

DEFAULT_ATTRIBUTE: Final = "worker"
_WANTED: Final = "a Worker, or a function without arguments that returns one"
_HERE: Final = Path(__file__).name


def load_worker(target: str) -> Worker:
    """Imports the module, from the current directory too, and gives the worker it names.

    Args:
        target: `module:attribute`; without the attribute it is `worker`.

    Raises:
        UsageError: the module or the attribute is not there, or is no worker. The message names what was looked for.
    """
    module_name, attribute = _split(target)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return _worker_of(_import(module_name), attribute, target)


def _split(target: str) -> tuple[str, str]:
    module_name, colon, attribute = target.partition(":")
    if not colon:
        attribute = DEFAULT_ATTRIBUTE
    if not all(part.isidentifier() for name in (module_name, attribute) for part in name.split(".")):
        raise UsageError.for_field("worker", target, "module or module:attribute, as in shop.jobs:worker")
    return module_name, attribute


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except TaskoraError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"there is no module {error.name!r}, looked for in {Path.cwd()} and where Python finds packages: "
                "check the name, run the command from the project's directory, or install the package"
            ) from error
        raise _broken(f"module {name!r} cannot be imported", error) from error
    except Exception as error:
        raise _broken(f"module {name!r} cannot be imported", error) from error


def _worker_of(module: ModuleType, attribute: str, target: str) -> Worker:
    try:
        found: object = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise UsageError(
            f"module {module.__name__!r} ({getattr(module, '__file__', None)}) has no attribute {attribute!r}: "
            f"name {_WANTED}, as in {module.__name__}:NAME"
        ) from None
    worker = found if isinstance(found, Worker) else _made_by(found, target)
    if not isinstance(worker, Worker):
        raise UsageError.for_field(target, worker, _WANTED)
    return worker


def _made_by(factory: object, target: str) -> object:
    if not callable(factory) or inspect.iscoroutinefunction(factory) or not _takes_nothing(factory):
        raise UsageError.for_field(target, factory, _WANTED)
    try:
        return factory()
    except TaskoraError:
        raise
    except Exception as error:
        raise _broken(f"{target} cannot make its worker", error) from error


def _takes_nothing(factory: Callable[..., object]) -> bool:
    try:
        _signature_of(factory).bind()
    except (TypeError, ValueError):
        return False
    return True


def _signature_of(factory: Callable[..., object]) -> inspect.Signature:
    if sys.version_info >= (3, 14):  # annotations are evaluated when somebody asks, and may be for type checkers only
        from annotationlib import Format

        return inspect.signature(factory, annotation_format=Format.FORWARDREF)
    return inspect.signature(factory)


def _broken(what: str, error: Exception) -> UsageError:
    """The error of somebody else's code, and where in it."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith("<") and Path(frame.filename).name != _HERE]
    where = f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
    return UsageError(f"{what}: {type(error).__name__}: {error}{where}; TASKORA_DEBUG=1 shows the traceback")
