"""Composing signatures: one after the other, side by side, and side by side into one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast, overload

from taskora.contracts._errors import UsageError
from taskora.contracts._signatures import Chain, Chord, Group, Signature, is_signature

# What goes in, and what comes out of each part.
I = TypeVar("I")  # noqa: E741
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")
J = TypeVar("J")
K = TypeVar("K")
R = TypeVar("R")


@overload
def chain(a: Signature[I, A], /) -> Chain[I, A]: ...
@overload
def chain(a: Signature[I, A], b: Signature[A, B], /) -> Chain[I, B]: ...
@overload
def chain(a: Signature[I, A], b: Signature[A, B], c: Signature[B, C], /) -> Chain[I, C]: ...
@overload
def chain(a: Signature[I, A], b: Signature[A, B], c: Signature[B, C], d: Signature[C, D], /) -> Chain[I, D]: ...
@overload
def chain(
    a: Signature[I, A], b: Signature[A, B], c: Signature[B, C], d: Signature[C, D], e: Signature[D, E], /
) -> Chain[I, E]: ...
@overload
def chain(
    a: Signature[I, A],
    b: Signature[A, B],
    c: Signature[B, C],
    d: Signature[C, D],
    e: Signature[D, E],
    f: Signature[E, F],
    /,
) -> Chain[I, F]: ...
@overload
def chain(
    a: Signature[I, A],
    b: Signature[A, B],
    c: Signature[B, C],
    d: Signature[C, D],
    e: Signature[D, E],
    f: Signature[E, F],
    g: Signature[F, G],
    /,
) -> Chain[I, G]: ...
@overload
def chain(
    a: Signature[I, A],
    b: Signature[A, B],
    c: Signature[B, C],
    d: Signature[C, D],
    e: Signature[D, E],
    f: Signature[E, F],
    g: Signature[F, G],
    h: Signature[G, H],
    /,
) -> Chain[I, H]: ...
@overload
def chain(
    a: Signature[I, A],
    b: Signature[A, B],
    c: Signature[B, C],
    d: Signature[C, D],
    e: Signature[D, E],
    f: Signature[E, F],
    g: Signature[F, G],
    h: Signature[G, H],
    j: Signature[H, J],
    /,
) -> Chain[I, J]: ...
@overload
def chain(
    a: Signature[I, A],
    b: Signature[A, B],
    c: Signature[B, C],
    d: Signature[C, D],
    e: Signature[D, E],
    f: Signature[E, F],
    g: Signature[F, G],
    h: Signature[G, H],
    j: Signature[H, J],
    k: Signature[J, K],
    /,
) -> Chain[I, K]: ...
@overload
def chain(first: Signature[I, A], /, *rest: Signature[A, A]) -> Chain[I, A]: ...
def chain(*steps: Signature[Any, Any]) -> Chain[Any, Any]:
    """Runs steps one after the other; each is given what the one before it gave.

    Types are inferred for ten steps, for any number that take what they give, and for any number joined by `|`.

    Raises:
        UsageError: there are no steps, too many, or something that is none.
    """
    return Chain(steps)


@overload
def group(members: Iterable[Signature[I, A]], /) -> Group[I, list[A]]: ...
@overload
def group(a: Signature[I, A], /) -> Group[I, tuple[A]]: ...
@overload
def group(a: Signature[I, A], b: Signature[I, B], /) -> Group[I, tuple[A, B]]: ...
@overload
def group(a: Signature[I, A], b: Signature[I, B], c: Signature[I, C], /) -> Group[I, tuple[A, B, C]]: ...
@overload
def group(
    a: Signature[I, A], b: Signature[I, B], c: Signature[I, C], d: Signature[I, D], /
) -> Group[I, tuple[A, B, C, D]]: ...
@overload
def group(
    a: Signature[I, A], b: Signature[I, B], c: Signature[I, C], d: Signature[I, D], e: Signature[I, E], /
) -> Group[I, tuple[A, B, C, D, E]]: ...
@overload
def group(
    a: Signature[I, A],
    b: Signature[I, B],
    c: Signature[I, C],
    d: Signature[I, D],
    e: Signature[I, E],
    f: Signature[I, F],
    /,
) -> Group[I, tuple[A, B, C, D, E, F]]: ...
@overload
def group(
    a: Signature[I, A],
    b: Signature[I, B],
    c: Signature[I, C],
    d: Signature[I, D],
    e: Signature[I, E],
    f: Signature[I, F],
    g: Signature[I, G],
    /,
) -> Group[I, tuple[A, B, C, D, E, F, G]]: ...
@overload
def group(
    a: Signature[I, A],
    b: Signature[I, B],
    c: Signature[I, C],
    d: Signature[I, D],
    e: Signature[I, E],
    f: Signature[I, F],
    g: Signature[I, G],
    h: Signature[I, H],
    /,
) -> Group[I, tuple[A, B, C, D, E, F, G, H]]: ...
@overload
def group(
    a: Signature[I, A],
    b: Signature[I, B],
    c: Signature[I, C],
    d: Signature[I, D],
    e: Signature[I, E],
    f: Signature[I, F],
    g: Signature[I, G],
    h: Signature[I, H],
    j: Signature[I, J],
    /,
) -> Group[I, tuple[A, B, C, D, E, F, G, H, J]]: ...
@overload
def group(
    a: Signature[I, A],
    b: Signature[I, B],
    c: Signature[I, C],
    d: Signature[I, D],
    e: Signature[I, E],
    f: Signature[I, F],
    g: Signature[I, G],
    h: Signature[I, H],
    j: Signature[I, J],
    k: Signature[I, K],
    /,
) -> Group[I, tuple[A, B, C, D, E, F, G, H, J, K]]: ...
@overload
def group(*members: Signature[I, A]) -> Group[I, tuple[A, ...]]: ...
def group(*members: Signature[Any, Any] | Iterable[Signature[Any, Any]]) -> Group[Any, Any]:
    """Runs signatures side by side, all with the same input; gives their outputs in order.

    Members one by one give a tuple, an iterable of members gives a list.

    Raises:
        UsageError: there are no members, too many, or something that is none.
    """
    if len(members) == 1 and not is_signature(members[0]):
        return Group(_listed("group", members[0]))
    return Group(members, is_tuple=True)  # type: ignore[arg-type]  # it refuses what is no signature


@overload
def chord(header: Iterable[Signature[I, A]], callback: Signature[list[A], R]) -> Chord[I, R]: ...
@overload
def chord(header: Group[I, A], callback: Signature[A, R]) -> Chord[I, R]: ...
def chord(header: Iterable[Signature[Any, Any]] | Group[Any, Any], callback: Signature[Any, Any]) -> Chord[Any, Any]:
    """Runs the header side by side, then the callback with the list of its outputs.

    Raises:
        UsageError: the header is empty, too large, or holds something that is no signature.
    """
    if not isinstance(header, Group):
        members = _listed("header", header)
        if not members:
            raise UsageError("the header of a chord needs at least one member, got none")
        header = Group(members)
    return Chord(header, callback)


def _listed(field: str, members: object) -> tuple[Signature[Any, Any], ...]:
    if isinstance(members, Iterable) and not isinstance(members, str | bytes):
        return tuple(cast("Iterable[Signature[Any, Any]]", members))
    raise UsageError.for_field(field, members, "signatures, or an iterable of them")
