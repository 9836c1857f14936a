"""What `tools/bindings.py` makes of the Lua files."""

import re
from pathlib import Path

import pytest

from tools.bindings import BindingError, diagnosed, expand, strip

SCRIPT = """\
local prefix = KEYS[1]  -- prefix  every key of the task starts with it
local wait_key = prefix .. 'wait'  -- list  ready ids
local given_now_ms = ARGV[1]  -- clock   epoch milliseconds, or empty for the server's clock
local others, seldom
--@include clock
local reply = {}
local state = { now = now, reply = reply }
--@others fields
--@seldom telling
return reply
"""


def made(script: str) -> str:
    return strip(expand(Path("made.lua"), script))


def group(text: str, name: str) -> str:
    found = re.search(rf"^function {name}\(\)\n.*?^{name}_made = .*?^end$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


def test_a_group_is_a_function_that_makes_those_of_its_fragments_once() -> None:
    others = group(made(SCRIPT), "others")
    assert others.startswith("function others()\nif others_made then\nreturn others_made\nend\n")
    assert "others_made = { fields_of = fields_of }" in others


def test_a_group_reads_slots_again_and_copies_what_it_uses_of_the_state() -> None:
    seldom = group(made(SCRIPT), "seldom")
    assert "local prefix = KEYS[1]\n" in seldom
    assert "local now = state.now\n" in seldom
    assert "state.reply" not in seldom


def test_a_group_calls_what_groups_above_it_have_made() -> None:
    script = SCRIPT.replace("--@seldom telling", "--@seldom learning")
    with pytest.raises(BindingError, match=r"fragment learning needs \['in_batches', 'looked_up'\]"):
        made(script)
    seldom = group(made(script.replace("--@others fields", "--@others fields batches looking_up")), "seldom")
    assert "local fields_of = others().fields_of\n" in seldom


@pytest.mark.parametrize("change", ["state.now = '5'", "  now = '5'"])
def test_what_groups_have_copies_of_must_not_change(change: str) -> None:
    with pytest.raises(BindingError, match=r"made\.lua: now of `state` is copied by groups"):
        made(SCRIPT.replace("return reply", f"{change}\nreturn reply"))


def test_what_groups_read_of_the_state_when_they_need_it_may_change() -> None:
    assert "state.links = links" in made(SCRIPT.replace("return reply", "state.links = links\nreturn reply"))


def test_a_derived_key_that_nothing_uses_and_a_function_that_nothing_calls_are_left_out() -> None:
    text = made(SCRIPT)
    assert "wait_key" not in text
    assert "local function ms_text" not in text.split("function others")[0]


def test_a_diagnosed_script_compares_the_types_of_its_keys_after_an_error() -> None:
    text = diagnosed(f"--@diagnosed\n{SCRIPT}", expand(Path("made.lua"), SCRIPT))
    assert text.startswith("local function transition()\nlocal prefix = KEYS[1] ")
    assert "local kinds = { [prefix .. 'wait'] = 'list', [prefix .. 'workflow:untold'] = 'zset' }" in text
    assert "local is_done, reply = pcall(transition)" in text


def test_a_script_that_does_not_ask_for_it_is_left_as_it_is() -> None:
    assert diagnosed(SCRIPT, "return 1") == "return 1"
