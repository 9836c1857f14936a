"""Generates `taskora.wire._transitions` from the Lua files, so that slots and their order are said once.

Usage: `python tools/bindings.py` writes the file; `--check` only compares it and exits 1 when it is stale.

What lines of a script ask for:

- `--@include name` stands for the text of a fragment, without functions that nothing uses.
- `--@seldom name...` (also `others`, `setbacks`, `failing`) stands for a function `seldom()`. When it is first called,
  it makes the functions of these fragments, and returns them by name: `seldom().park(id)`. A group calls what groups
  above it have made by name, and what those below it make as the script does. It reads slots again, and has its own
  copy of what it needs of included fragments, since both cost less than to share variables.
- `local state = { a = a }` is what groups know of the script besides. Each field is a variable of that name in them,
  copied when the group is made: so it is a table that is filled, or a value that never changes, which is checked.
  What changes is written and read as `state.b`.
- `--@diagnosed` puts the script into a protected function, so that errors name the key.
"""

import hashlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LUA = ROOT / "lua"
TARGET = ROOT / "packages/wire/src/taskora/wire/_transitions.py"

INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)
GROUP = re.compile(r"^--@(others|setbacks|seldom|failing) .+\n(?:--@\1 .+\n)*", re.MULTILINE)
NEEDS = re.compile(r"^-- needs: (.+)$", re.MULTILINE)
KEY = re.compile(r"^local (\w+) = KEYS\[(\d+)\][ ]+--[ ]+(\w+)(?:[ ]+(.*))?$", re.MULTILINE)
ARG = re.compile(r"^local (\w+) = (?:tonumber\()?ARGV\[(\d+)\]\)?[ ]+--[ ]+(\w+)(?:[ ]+(.*))?$", re.MULTILINE)
DERIVED = re.compile(r"^local (\w+)_key = prefix \.\. '(\w+)'[ ]+--[ ]+(\w+)[ ]+.*\n", re.MULTILINE)
PLACE = re.compile(r"^local [A-Z_]+ = (prefix \.\. '[\w:]+')[ ]+-- (list|zset|set|hash|string|stream)$", re.MULTILINE)
TYPES = {"list", "zset", "set", "hash", "string", "stream"}
DIAGNOSED = "--@diagnosed\n"
FUNCTION = re.compile(r"^local function (\w+)\(.*?^end\n", re.MULTILINE | re.DOTALL)
STATE = re.compile(r"^local state = \{ (.*) \}$", re.MULTILINE)
ITEMS = re.compile(r"^local ([A-Z_]+) = (\d+)\s+--\s+items\s+(\(.+\))\.\.\.$", re.MULTILINE)
RETURNS = re.compile(r"^-- returns: ([^{\n]+?)(?:  .*)?$", re.MULTILINE)

DIAGNOSE_FIRST = """\
local is_done, reply = pcall(transition)
if is_done then
  return reply
end"""
DIAGNOSE_LAST = """\
local wrong = {}
for key, kind in pairs(kinds) do
  local found = redis.pcall('TYPE', key).ok
  if found and found ~= 'none' and found ~= kind then
    wrong[#wrong + 1] = key .. ' is a ' .. found .. ' and must be a ' .. kind
  end
end
local message = type(reply) == 'table' and reply.err or tostring(reply)
if #wrong > 0 then
  table.sort(wrong)
  message = 'WRONGTYPE ' .. table.concat(wrong, ', ')
elseif not string.find(message, '^%u+ ') then
  message = 'ERR ' .. message
end
return redis.error_reply(message)
"""

# Slots of keys that belong to no task; all others are attributes of TaskKeys.
FREE_KEYS = {
    "finished_key",
    "meta_key",
    "migration_lock_key",
    "base",
    "schedules_key",
    "schedules_lock_key",
    "schedules_next_key",
    "workflow_key",
    "workflows_key",
    "running_workflows_key",
    "ended_workflows_key",
    "workflow_tries_key",
}
ARG_TYPES = {"bytes": "bytes", "clock": "int | None", "int": "int", "str": "str", "flag": "bool"}
PACK = {
    "bytes": "{0}",
    "clock": '"" if {0} is None else {0}',
    "flag": '"1" if {0} else "0"',
    "int": "{0}",
    "str": "{0}",
}


class BindingError(Exception):
    """A Lua file breaks the conventions of the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    name: str
    kind: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    name: str
    headline: str
    returns: str
    keys: tuple[Slot, ...]
    args: tuple[Slot, ...]
    items: Slot | None
    text: str


def read_scripts() -> list[Script]:
    return [read_script(path) for path in sorted(LUA.glob("*.lua"))]


def read_script(path: Path) -> Script:
    source = path.read_text()
    headline = source.split("\n", 1)[0].removeprefix("-- ")
    if not headline.startswith(f"{path.stem}:"):
        raise BindingError(f"{path.name}: the first line must start with '-- {path.stem}:'")
    returns = RETURNS.search(source)
    if returns is None or "-- emits:" not in source:
        raise BindingError(f"{path.name}: the header must have '-- returns:' and '-- emits:'")
    keys = read_slots(path, source, KEY)
    args = read_slots(path, source, ARG)
    return Script(
        name=path.stem,
        headline=headline,
        returns=returns.group(1).strip(),
        keys=keys,
        args=args,
        items=read_items(path, source, len(args)),
        text=strip(diagnosed(source, expand(path, source))),
    )


def read_slots(path: Path, source: str, pattern: re.Pattern[str]) -> tuple[Slot, ...]:
    found = pattern.findall(source)
    numbers = [int(number) for _, number, _, _ in found]
    if numbers != list(range(1, len(found) + 1)):
        raise BindingError(f"{path.name}: slots must be declared once, in order; found {numbers}")
    word = "KEYS" if pattern is KEY else "ARGV"
    if source.count(f"{word}[") - source.count(f"{word}[i") != len(found):
        raise BindingError(f"{path.name}: {word} is read outside of the declarations")
    return tuple(Slot(name=name, kind=kind, note=note.strip()) for name, _, kind, note in found)


def read_items(path: Path, source: str, arg_count: int) -> Slot | None:
    found = ITEMS.search(source)
    if found is None:
        return None
    if int(found.group(2)) != arg_count + 1:
        raise BindingError(f"{path.name}: {found.group(1)} must be {arg_count + 1}, after the other arguments")
    return Slot(name=found.group(1).lower(), kind="items", note=found.group(3))


def expand(path: Path, source: str) -> str:
    slots = [match[0] for pattern in (KEY, ARG, DERIVED, ITEMS) for match in pattern.finditer(source)]
    check_derived(path, source)
    declared = names_in(source)
    included: set[str] = set()

    def fragment_of(name: str) -> str:
        if name in included:
            raise BindingError(f"{path.name}: fragment {name} is included twice")
        included.add(name)
        fragment = (LUA / "fragments" / f"{name}.lua").read_text()
        check_needs(path, name, fragment, declared)
        declared.update(names_in(fragment))
        return fragment

    expanded, unused = without_functions(without_unused(INCLUDE.sub(lambda match: fragment_of(match[1]), source)))
    known = [*map(str.rstrip, slots), *shared_with_groups(source)]

    def group_of(match: re.Match[str]) -> str:
        group = match[1]
        rendered, functions = render_group(group, known, unused, map(fragment_of, words_of(match[0])))
        known.extend(f"local {name} = {group}().{name}" for name in functions)
        return rendered

    text = GROUP.sub(group_of, expanded)
    check_shared(path, source, text)
    return text


def names_in(text: str) -> set[str]:
    """What a text declares outside of functions."""
    found = re.findall(r"^local (?:function )?(\w+(?:, \w+)*)", text, re.MULTILINE)
    return {name for names in found for name in names.split(", ")}


def diagnosed(source: str, text: str) -> str:
    """A script that tells of an error which key is of another type than it must be: the server does not say that."""
    if DIAGNOSED not in source:
        return text
    kinds = [(f"KEYS[{number}]", kind) for _, number, kind, _ in KEY.findall(source) if kind in TYPES]
    kinds += [(f"prefix .. '{part}'", kind) for _, part, kind in DERIVED.findall(source)]
    kinds += sorted(set(PLACE.findall(text)))
    table = ", ".join(f"[{key}] = '{kind}'" for key, kind in kinds)
    prefix = re.search(r"^local prefix = KEYS\[\d+\]", source, re.MULTILINE)
    lines = [
        "local function transition()",
        text,
        "end",
        DIAGNOSE_FIRST,
        prefix[0] if prefix else "",
        f"local kinds = {{ {table} }}",
    ]
    return "\n".join([*lines, DIAGNOSE_LAST])


def shared_with_groups(source: str) -> list[str]:
    """What the groups read of the table `state`, which costs less than to share each variable with the script."""
    state = STATE.search(source)
    names = re.findall(r"(\w+) =", state[1]) if state else []
    return [f"local {name} = state.{name}" for name in names]


def check_shared(path: Path, source: str, text: str) -> None:
    """Groups have copies of what `state` tells them at first: these must stay true."""
    state = STATE.search(text)
    for line in shared_with_groups(source):
        name = line.split()[1]
        if state and re.search(rf"^\s*{name} = |\bstate\.{name} = ", text[state.end() :], re.MULTILINE):
            raise BindingError(f"{path.name}: {name} of `state` is copied by groups, so it must not get another value")


def without_functions(text: str) -> tuple[str, dict[str, str]]:
    """Leaves out functions that nothing uses; and returns them, for groups that do."""
    unused: dict[str, str] = {}
    while True:
        found = [match for match in FUNCTION.finditer(text) if not is_used(match[1], text.replace(match[0], ""))]
        if not found:
            return text, unused
        for match in found:
            unused[match[1]] = match[0]
            text = text.replace(match[0], "")


def check_derived(path: Path, source: str) -> None:
    """A key that a script makes from the prefix is named as it is spelled, like the attribute of TaskKeys."""
    for name, part, _ in DERIVED.findall(source):
        if name != part:
            raise BindingError(f"{path.name}: {name}_key must end in {name!r}, not in {part!r}")


def without_unused(text: str) -> str:
    """Leaves out derived keys that only functions use which are seldom needed: those make them for themselves."""
    return DERIVED.sub(lambda match: match[0] if is_used(f"{match[1]}_key", text.replace(match[0], "")) else "", text)


def is_used(name: str, text: str) -> bool:
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return re.search(rf"\b{name}\b", code) is not None


def words_of(directives: str) -> list[str]:
    return re.sub(r"^--@\w+", "", directives, flags=re.MULTILINE).split()


def render_group(
    group: str, known: list[str], unused: dict[str, str], fragments: Iterable[str]
) -> tuple[str, list[str]]:
    """Fragments that most calls do not need, as one function that makes theirs when it is first asked for them.

    Creating a function costs about as much as a small command, and more for each variable of the script that it uses;
    a script is created anew with every call. Reading a slot again inside costs less than using the one outside.
    """
    body = "".join(fragments)
    declared = {line.split()[1] for line in known}
    body = "".join(text for name, text in unused.items() if name not in declared and is_used(name, body)) + body
    names = re.findall(r"^local function (\w+)", body, re.MULTILINE)
    table = ", ".join(f"{name} = {name}" for name in names)
    used = [line for line in known if is_used(line.split()[1], body) or line.startswith("local prefix =")]
    made = f"{group}_made"
    lines = [f"local {made}", f"function {group}()", f"if {made} then", f"return {made}", "end"]
    return "\n".join([*lines, *used, f"{body}{made} = {{ {table} }}", f"return {made}", "end", ""]), names


def check_needs(path: Path, name: str, fragment: str, declared: set[str]) -> None:
    for line in NEEDS.findall(fragment):
        missing = [need for need in re.split(r",\s*", line.strip()) if need not in declared]
        if missing:
            raise BindingError(f"{path.name}: fragment {name} needs {missing}, which nothing before it declares")


def strip(text: str) -> str:
    """Drops comment lines and trailing comments of declarations: servers keep scripts in memory."""
    lines = (re.sub(r"\s+-- .*$", "", line) for line in text.splitlines())
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("--")) + "\n"


def render(scripts: list[Script]) -> str:
    head = (
        '"""Generated from lua/ by tools/bindings.py: do not edit.\n\n'
        "One function per transition; each builds the call that runs it.\n"
        '"""\n\n'
        "from collections.abc import Sequence\n\n"
        "from taskora.wire._call import Arg, Call, ExchangeReply, ScanPage, Script\n"
        "from taskora.wire._keys import TaskKeys\n"
    )
    bodies = [render_script(script) for script in scripts]
    table = "SCRIPTS: tuple[Script, ...] = (\n" + "".join(f"    {s.name.upper()},\n" for s in scripts) + ")\n"
    return head + "\n" + "\n\n".join(bodies) + "\n\n" + table


def render_script(script: Script) -> str:
    sha = hashlib.sha1(script.text.encode()).hexdigest()
    constant = script.name.upper()
    return (
        f"{constant} = Script(\n"
        f'    name="{script.name}",\n'
        f'    sha="{sha}",\n'
        f'    text="""\\\n{script.text.replace(chr(92), chr(92) * 2)}""",\n'
        ")\n\n\n"
        f"def {script.name}(\n    *,\n{render_parameters(script)}) -> Call[{script.returns}]:\n"
        f'    """{render_doc(script)}"""\n'
        f"    return Call(\n        script={constant},\n        keys=({render_keys(script)}),\n"
        f"        args={render_args(script)},\n    )\n"
    )


def is_task_key(slot: Slot) -> bool:
    return slot.name not in FREE_KEYS


def parameter(slot: Slot) -> str:
    return "now_ms" if slot.kind == "clock" else slot.name


def render_parameters(script: Script) -> str:
    lines = ["    keys: TaskKeys,\n"] if any(is_task_key(slot) for slot in script.keys) else []
    lines += [f"    {slot.name}: str,\n" for slot in script.keys if not is_task_key(slot)]
    for slot in script.args:
        if slot.kind not in ARG_TYPES:
            raise BindingError(f"{script.name}: unknown argument type {slot.kind!r} of {slot.name}")
        lines.append(f"    {parameter(slot)}: {ARG_TYPES[slot.kind]},\n")
    if script.items:
        lines.append(f"    {script.items.name}: Sequence[Arg],\n")
    return "".join(lines)


def render_doc(script: Script) -> str:
    name, _, rest = script.headline.partition(": ")
    text = f"{name}: {rest}".rstrip(";")
    if script.items is None:
        return text
    return f"{text}\n\n    `{script.items.name}` is flat: {script.items.note} repeated.\n    "


def render_keys(script: Script) -> str:
    names = [f"keys.{slot.name}" if is_task_key(slot) else slot.name for slot in script.keys]
    return ", ".join(names) + ("," if len(names) == 1 else "")


def render_args(script: Script) -> str:
    packed = [PACK[slot.kind].format(parameter(slot)) for slot in script.args]
    if script.items:
        packed.append(f"*{script.items.name}")
    return "(" + ", ".join(packed) + ("," if len(packed) == 1 else "") + ")"


def main() -> int:
    text = render(read_scripts())
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            print(f"{TARGET.relative_to(ROOT)} is stale: run `python tools/bindings.py`")
            return 1
        return 0
    TARGET.write_text(text)
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
