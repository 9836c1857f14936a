"""Two kinds of import-linter contract that import-linter does not ship.

`private_modules` keeps the underscore modules of each package inside it: wildcards of the built-in
`protected` contract stand for whole module names only, so it cannot say "every module that starts with `_`".
`standard_library_only` forbids every third-party import, known today or not.
"""

import sys
from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

Link = tuple[str, str]


class PrivateModulesContract(Contract):
    """No package imports an underscore module of another package.

    Configuration options:
        packages: The packages whose underscore modules are private to them.
    """

    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        packages: list[str] = self.packages  # type: ignore[assignment]  # a field reads as its value
        illegal = [link for package in packages for link in _intrusions(graph, package)]
        return _verdict(illegal)

    def render_broken_contract(self, check: ContractCheck) -> None:
        _render(check)


class StandardLibraryOnlyContract(Contract):
    """A package imports nothing beside itself and the standard library.

    Configuration options:
        packages: The packages that must do without third-party code.
        for_type_checkers: Modules they may name for type checkers, which bring their own stubs of them. The
            test that runs a package without any installed distribution catches an import at run time.
    """

    packages = fields.ListField(subfield=fields.StringField())
    for_type_checkers = fields.SetField(subfield=fields.StringField(), required=False, default=set())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        packages: list[str] = self.packages  # type: ignore[assignment]  # a field reads as its value
        known: set[str] = self.for_type_checkers  # type: ignore[assignment]
        links = [link for package in packages for link in _foreign_imports(graph, package)]
        illegal = [(importer, imported) for importer, imported in links if imported not in known]
        return _verdict(illegal)

    def render_broken_contract(self, check: ContractCheck) -> None:
        _render(check)


def _intrusions(graph: ImportGraph, package: str) -> Iterator[Link]:
    inside = {package, *graph.find_descendants(package)}
    for module in sorted(inside):
        if any(part.startswith("_") for part in module.removeprefix(package).split(".")):
            for importer in sorted(graph.find_modules_that_directly_import(module) - inside):
                yield importer, module


def _foreign_imports(graph: ImportGraph, package: str) -> Iterator[Link]:
    inside = {package, *graph.find_descendants(package)}
    for module in sorted(inside):
        for imported in sorted(graph.find_modules_directly_imported_by(module) - inside):
            if imported.partition(".")[0] not in sys.stdlib_module_names:
                yield module, imported


def _verdict(illegal: list[Link]) -> ContractCheck:
    return ContractCheck(kept=not illegal, metadata={"illegal": illegal})


def _render(check: ContractCheck) -> None:
    for importer, imported in check.metadata["illegal"]:
        output.print_error(f"{importer} must not import {imported}", bold=False)
    output.new_line()
