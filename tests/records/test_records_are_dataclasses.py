"""A record behaves as the dataclass that is declared in the same words, whatever the fields."""

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from taskora.contracts import records

NAMES: Final = st.sampled_from(["a", "b", "c", "data", "self", "name", "_hidden", "cls", "values"])
VALUES: Final = st.one_of(st.integers(-2, 2), st.text("xy", max_size=2), st.tuples(st.booleans()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declared:
    """One field, as both kinds of class declare it."""

    kind: str
    default: Any
    flags: dict[str, Any]

    def written(self, field: Callable[..., Any]) -> Any:
        if self.kind == "required":
            return field(**self.flags)
        if self.kind == "made":
            return field(default_factory=list, **self.flags)
        return field(default=self.default, **self.flags) if self.flags else self.default


DECLARED: Final = st.builds(
    Declared,
    kind=st.sampled_from(["required", "plain", "plain", "made"]),
    default=VALUES,
    flags=st.fixed_dictionaries(
        {}, optional={"repr": st.booleans(), "compare": st.booleans(), "hash": st.sampled_from([None, True, False])}
    ),
)
OPTIONS: Final = st.fixed_dictionaries(
    {}, optional={"kw_only": st.booleans(), "frozen": st.booleans(), "slots": st.booleans(), "eq": st.booleans()}
)


def pair_of(fields: dict[str, Declared], options: dict[str, Any]) -> tuple[type[Any], type[Any]]:
    """The record and the dataclass of the same declaration, under the same name."""
    in_order = sorted(fields.items(), key=lambda item: item[1].kind != "required")

    def declared(field: Callable[..., Any]) -> type[Any]:
        members: dict[str, Any] = {"__annotations__": {name: object for name, _ in in_order}, "__module__": __name__}
        for name, each in in_order:
            written = each.written(field)
            if not (each.kind == "required" and not each.flags):
                members[name] = written
        return type("Thing", (), {"__doc__": "A thing.", **members})

    like = dataclasses.dataclass(**{"frozen": True, "slots": True, "kw_only": True, **options})
    return records.record(**options)(declared(records.field)), like(declared(dataclasses.field))


def outcome(act: Callable[..., Any], *arguments: Any, **named: Any) -> object:
    """What it gives, or how it fails."""
    try:
        return act(*arguments, **named)
    except (TypeError, AttributeError) as error:
        return type(error), str(error)


def said_of(cls: type[Any]) -> list[object]:
    """What a class says of itself."""
    fields = dataclasses.fields(cls)
    flags = [(each.name, each.type, each.init, each.repr, each.compare, each.hash, each.kw_only) for each in fields]
    return [str(inspect.signature(cls)), cls.__match_args__, *flags]


def seen_of(cls: type[Any], instance: Any, others: list[Any]) -> list[object]:
    """What can be told of an instance from outside."""
    copies = [copy.copy(instance), copy.deepcopy(instance), pickle.loads(pickle.dumps(instance))]
    seen: list[object] = [dataclasses.asdict(instance), dataclasses.astuple(instance), *map(repr, [instance, *copies])]
    if "__eq__" in vars(cls):
        seen += [outcome(hash, instance), *(instance == other for other in others)]
    for each in dataclasses.fields(instance):
        seen.append(repr(outcome(dataclasses.replace, instance, **{each.name: 7})))
        seen.append(outcome(setattr, copies[0], each.name, 1))
    return seen


def behaviour(cls: type[Any], by_name: list[dict[str, Any]], by_position: list[Any]) -> list[object]:
    globals()["Thing"] = cls  # where pickle looks for it
    made = [outcome(cls, **given) for given in by_name]
    made.append(outcome(cls, *by_position))
    instances = [instance for instance in made if isinstance(instance, cls)]
    refusals = [refusal for refusal in made if not isinstance(refusal, cls)]
    return [*said_of(cls), *refusals, *(seen_of(cls, instance, instances) for instance in instances)]


@settings(max_examples=80, deadline=None, database=None)
@given(
    fields=st.dictionaries(NAMES, DECLARED, max_size=5),
    options=OPTIONS,
    by_name=st.lists(st.dictionaries(st.one_of(NAMES, st.just("other")), VALUES, max_size=5), max_size=4),
    by_position=st.lists(VALUES, max_size=5),
)
def test_a_record_behaves_as_a_dataclass(
    fields: dict[str, Declared], options: dict[str, Any], by_name: list[dict[str, Any]], by_position: list[Any]
) -> None:
    required = {name: 0 for name, each in fields.items() if each.kind == "required"}
    by_name += [required | {name: given[name] for name in given if name in fields} for given in [{}, *by_name]]
    record, like = pair_of(fields, options)
    assert behaviour(record, by_name, by_position) == behaviour(like, by_name, by_position)
