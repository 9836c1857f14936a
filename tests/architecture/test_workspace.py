"""Each distribution owns one part of the namespace, and the workspace knows all of them."""

import re

import pytest

from tests.architecture.repository import ROOT, Member, apps, load, packages, parts, tracked_files

SETTINGS = load(ROOT / "pyproject.toml")["tool"]

MEMBERS = pytest.mark.parametrize("member", packages(), ids=lambda member: member.name)
PARTS = pytest.mark.parametrize("member", parts(), ids=lambda member: member.name)


@PARTS
def test_a_distribution_holds_exactly_its_own_part(member: Member) -> None:
    assert member.module is not None
    path = member.folder / "src"
    for name in member.module.split("."):
        assert [child.name for child in path.iterdir() if child.name != "__pycache__"] == [name]
        path /= name
    assert (path / "__init__.py").is_file()


def test_nobody_owns_the_namespace_package() -> None:
    namespaces = ["packages/*/src/taskora/__init__.py", "packages/integrations/*/src/taskora/**/__init__.py"]
    owners = list(ROOT.glob(namespaces[0]))
    owners += [path for path in ROOT.glob(namespaces[1]) if path.parent.name in {"taskora", "integrations"}]
    assert owners == []


@PARTS
def test_a_part_is_named_after_its_distribution(member: Member) -> None:
    assert member.module == member.name.replace("-", ".", 1).replace("-", "_")


@PARTS
def test_a_part_ships_its_types(member: Member) -> None:
    assert member.module is not None
    assert (member.folder / "src" / member.module.replace(".", "/") / "py.typed").is_file()


@MEMBERS
def test_pins_between_members_equal_versions(member: Member) -> None:
    versions = {other.name: other.version for other in packages()}
    for requirement in member.requirements:
        name, _, rest = re.sub(r"\[.*?\]", "", requirement).partition("==")
        if re.match(r"taskora(-|$|\W)", requirement):
            assert name in versions, f"{requirement} does not pin a member with =="
            assert rest == versions[name], f"{requirement}, but {name} is at {versions[name]}"


def test_all_members_share_one_version() -> None:
    assert len({member.version for member in packages()}) == 1


def test_example_deployments_pin_the_members_that_they_need() -> None:
    members = {member.name: member for member in [*packages(), *apps()]}
    for app in apps():
        pins = {line for line in app.requirements if re.split(r"[=<>]", line)[0] in members}
        assert pins == {f"{name}=={members[name].version}" for name in app.manifest["tool"]["uv"]["sources"]}


@MEMBERS
def test_members_find_each_other_in_the_workspace(member: Member) -> None:
    named = {re.split(r"[\[=<>~ ]", line)[0] for line in member.requirements}
    siblings = {name for name in named if name.startswith("taskora")}
    assert set(member.manifest["tool"]["uv"].get("sources", {})) == siblings


@MEMBERS
def test_a_changed_source_rebuilds_a_member(member: Member) -> None:
    keys = member.manifest["tool"]["uv"]["cache-keys"]
    expected = [{"file": "pyproject.toml"}]
    assert keys == expected + [{"file": "src/**/*"}] * (member.module is not None)


def test_the_workspace_lists_every_package() -> None:
    listed = [name for name in SETTINGS["uv"]["workspace"]["members"] if name.startswith("packages/")]
    assert listed == sorted(str(member.folder.relative_to(ROOT)) for member in packages())


def test_the_development_group_installs_every_package() -> None:
    lines = load(ROOT / "pyproject.toml")["dependency-groups"]["dev"]
    assert {member.name for member in [*packages(), *apps()]} <= {re.split(r"[\[=<>~ ]", line)[0] for line in lines}


def test_mypy_finds_the_sources_of_every_part() -> None:
    sources = {f"$MYPY_CONFIG_FILE_DIR/{member.folder.relative_to(ROOT)}/src" for member in [*parts(), *apps()]}
    assert sources <= set(SETTINGS["mypy"]["mypy_path"])


@pytest.mark.parametrize(("tool", "key"), [("mypy", "files"), ("pyright", "include")])
def test_the_type_checkers_see_every_python_file(tool: str, key: str) -> None:
    roots = {path.relative_to(ROOT).parts[0] for path in tracked_files() if path.suffix == ".py"}
    assert roots <= set(SETTINGS[tool][key])


def test_the_import_linter_knows_every_part() -> None:
    settings = SETTINGS["importlinter"]
    contracts = {contract["id"]: contract for contract in settings["contracts"]}
    modules = {member.module for member in parts()}
    layers = {name.strip(" ()") for line in contracts["layers"]["layers"] for name in re.split(r"[|:]", line)}
    assert set(settings["root_packages"]) == modules | {member.name.replace("-", "_") for member in apps()}
    assert set(contracts["private"]["packages"]) == modules
    assert modules <= layers
