"""Judging the commands that documentation shows, without running them: would they be understood?"""

import importlib.util
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import typer
import typer.main

from taskora.cli._main import app
from tests.architecture.repository import Member, apps, packages
from tests.docs.blocks import ROOT, Block

Words = list[str]

# What they are given is not ours to judge.
FOREIGN = frozenset({"cat", "cd", "curl", "docker", "export", "git", "mkdir", "pytest", "redis-cli", "redis-server"})
_SEPARATORS = re.compile(r"^[|&;]+$")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?")


def commands_of(block: Block) -> Iterator[str]:
    """Yield the command lines of a block: all lines of sh, and in console those after a prompt."""
    code = block.code.replace("\\\n", " ")
    for line in code.split("\n"):
        if block.language != "console":
            command = line
        elif line.startswith("$ "):
            command = line.removeprefix("$ ")
        else:
            continue
        if command.strip() and not command.lstrip().startswith("#"):
            yield command


def objections_to(line: str) -> list[str]:
    """Say what is wrong with a command line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[Words] = [[]]
    for word in lexer:
        if _SEPARATORS.match(word):
            commands.append([])
        else:
            commands[-1].append(word)
    return [objection for words in commands if (objection := objection_to(words))]


def objection_to(words: Words) -> str | None:
    """Say what is wrong with one command; None if nothing is."""
    words = _without_redirections(words)
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    if not words:
        return None
    program, arguments = words[0].removeprefix(".venv/bin/"), words[1:]
    if program in FOREIGN:
        return None
    judge = _JUDGES.get(program)
    if judge is None:
        return f"{program} is not known to tests/docs/commands.py: add it there, or show it in a text block"
    return judge(arguments)


def _without_redirections(words: Words) -> Words:
    for index, word in enumerate(words):
        if re.match(r"^\d*[<>]", word):
            return words[:index]
    return words


def _taskora(arguments: Words) -> str | None:
    root: Any = typer.main.get_command(app)
    if arguments[:1] in (["--version"], ["--help"]):
        return None
    command = root.commands.get(arguments[0]) if arguments else None
    if command is None:
        return f"taskora has no command {arguments[:1]}"
    try:
        command.make_context(arguments[0], arguments[1:])
    except typer.Exit:
        return None
    except typer.TyperException as error:
        return f"taskora {arguments[0]}: {error.format_message()}"
    return None


def _make(arguments: Words) -> str | None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    unknown = [word for word in arguments if "=" not in word and word not in targets]
    return f"the Makefile has no target {unknown}" if unknown else None


def _python(arguments: Words) -> str | None:
    match arguments:
        case ["-m", module, *_]:
            return None if _is_module(module) else f"there is no module {module}"
        case [path, *_] if "/" in path:
            return None if (ROOT / path).is_file() else f"there is no file {path}"
        case _:
            return None


def _pip(arguments: Words) -> str | None:
    if arguments[:1] != ["install"]:
        return f"pip {arguments[:1]} is not known to tests/docs/commands.py"
    return _requirements(arguments[1:])


def _uv(arguments: Words) -> str | None:
    match arguments:
        case ["run", "--package", name, *command]:
            return objection_to(command) if name in _members() else f"there is no member {name}"
        case ["run", *command]:
            return objection_to(command)
        case ["add", *requirements] | ["pip", "install", *requirements]:
            return _requirements(requirements)
        case ["sync" | "lock" | "venv", *_]:
            return None
        case _:
            return f"uv {arguments[:1]} is not known to tests/docs/commands.py"


def _uvicorn(arguments: Words) -> str | None:
    targets = [word for word in arguments if ":" in word and not word.startswith("-")]
    return next((f"there is no module {target}" for target in targets if not _is_module(target.split(":")[0])), None)


_JUDGES: dict[str, Callable[[Words], str | None]] = {
    "make": _make,
    "pip": _pip,
    "python": _python,
    "taskora": _taskora,
    "uv": _uv,
    "uvicorn": _uvicorn,
}


def _requirements(words: Words) -> str | None:
    """Distributions of ours must exist, with the extras that are asked for."""
    members = _members()
    for word in words:
        found = _REQUIREMENT.match(word)
        if found is None or not found["name"].startswith("taskora"):
            continue
        member = members.get(found["name"])
        if member is None:
            return f"there is no distribution {found['name']}"
        extras = set(found["extras"].split(",")) if found["extras"] else set[str]()
        if missing := extras - set(member.manifest["project"].get("optional-dependencies", {})):
            return f"{member.name} has no extra {sorted(missing)}"
    return None


def _members() -> dict[str, Member]:
    return {member.name: member for member in [*packages(), *apps()]}


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
