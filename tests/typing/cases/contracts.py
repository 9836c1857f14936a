"""Contracts carry the types of their input and output."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, TypedDict, assert_type

from taskora.contracts import (
    JobFailedError,
    JobState,
    Retry,
    Stall,
    TaskContract,
    Ttl,
    UnsetType,
    WireVersionError,
    define_task,
    is_contract,
    static_contract,
)


@dataclass
class SendEmail:
    to: str


@dataclass
class EmailSent:
    id: str


class Message(TypedDict):
    text: str


# Classes
assert_type(define_task("t", input=SendEmail, output=EmailSent), TaskContract[SendEmail, EmailSent])
assert_type(define_task("t", input=Message, output=int), TaskContract[Message, int])
assert_type(define_task("t", input=SendEmail, output=int), TaskContract[SendEmail, str])  # E: mypy,pyright
assert_type(define_task("t", input=SendEmail, output=EmailSent), TaskContract[Any, Any])  # E: mypy,pyright

# What is left out
assert_type(define_task("t", input=SendEmail), TaskContract[SendEmail, object])
assert_type(define_task("t", output=EmailSent), TaskContract[None, EmailSent])
assert_type(define_task("t"), TaskContract[None, object])
assert_type(define_task("t", input=None, output=None), TaskContract[None, None])
assert_type(define_task("t", input=SendEmail, output=None), TaskContract[SendEmail, None])

# Annotations that are not classes
assert_type(define_task("t", input=list[int], output=dict[str, int]), TaskContract[list[int], dict[str, int]])
assert_type(define_task("t", input=int | None, output=EmailSent), TaskContract[int | None, EmailSent])
assert_type(define_task("t", input=SendEmail, output=str | int), TaskContract[SendEmail, str | int])
assert_type(define_task("t", input=Literal["a", "b"], output=None), TaskContract[Literal["a", "b"], None])
assert_type(define_task("t", input=Annotated[int, "positive"]), TaskContract[int, object])
assert_type(define_task("t", input=tuple[int, ...], output=Any), TaskContract[tuple[int, ...], Any])

# A declared type is checked against the arguments
plain: TaskContract[list[int], int] = define_task("t", input=list[int], output=int)
union: TaskContract[int | None, str | int] = define_task("t", input=int | None, output=str | int)
open_ended: TaskContract[SendEmail, object] = define_task("t", input=SendEmail)
swapped: TaskContract[int, SendEmail] = define_task("t", input=SendEmail, output=int)  # E: mypy,pyright
other: TaskContract[SendEmail, EmailSent] = define_task("t", input=SendEmail, output=str)  # E: mypy,pyright
narrower: TaskContract[int, str] = define_task("t", input=int | None, output=str)  # E: mypy,pyright
undeclared: TaskContract[SendEmail, EmailSent] = define_task("t", input=SendEmail)  # E: mypy,pyright
no_input: TaskContract[SendEmail, object] = define_task("t")  # E: mypy,pyright

# Options
define_task(
    "t",
    input=SendEmail,
    retry=Retry(
        attempts=3,
        backoff=lambda attempt: f"{attempt}s",
        delay=timedelta(seconds=1),
        retry_on=(KeyError, "X"),
    ),
    timeout="30s",
    stall=Stall(interval=30, max_count=1),
    ttl=Ttl(max=1.5, on_expire="discard"),
    version=2,
)
define_task("t", input=SendEmail, version="2")  # E: mypy,pyright
define_task("t", input=SendEmail, timeout=b"30s")  # E: mypy,pyright
define_task("t", input=SendEmail, retry=3)  # E: mypy,pyright
define_task("t", input=SendEmail, colour="red")  # E: mypy,pyright
define_task("t", SendEmail)  # E: mypy,pyright
define_task("t", input=3)  # E: mypy,pyright
define_task("t", input=SendEmail("a@b.c"))  # E: mypy,pyright
define_task(7)  # E: mypy,pyright
Retry(backoff="quadratic")  # E: mypy,pyright
Retry(3)  # E: mypy,pyright
Retry(retry_on=KeyError)  # E: mypy,pyright
Retry(retry_on=(int,))  # E: mypy,pyright
Ttl(on_expire="keep")  # E: mypy,pyright

# Contracts with types only
assert_type(static_contract[SendEmail, EmailSent]("t"), static_contract[SendEmail, EmailSent])
ping: TaskContract[SendEmail, EmailSent] = static_contract[SendEmail, EmailSent]("t", timeout="1s", version=2)
maybe: TaskContract[int | None, list[int]] = static_contract[int | None, list[int]]("t")
declared: TaskContract[SendEmail, EmailSent] = static_contract("t")
pong: TaskContract[EmailSent, SendEmail] = static_contract[SendEmail, EmailSent]("t")  # E: mypy,pyright
static_contract[SendEmail, EmailSent]("t", input=SendEmail)  # E: mypy,pyright

# What a contract holds
assert_type(plain.name, str)
assert_type(plain.retry, Retry | None)
assert_type(plain.timeout_ms, int | None)
assert_type(plain.validates_input, bool)
plain.name = "u"  # E: mypy,pyright
ping.version = 3  # E: mypy,pyright


def recognise(value: object, unset: UnsetType) -> None:
    print(value.name)  # E: mypy,pyright
    if is_contract(value):
        assert_type(value, TaskContract[Any, Any])
        assert_type(value.name, str)


def report(failed: JobFailedError, wire: WireVersionError) -> None:
    assert_type(failed.error, str)
    assert_type(failed.attempts, int | None)
    assert_type(wire.code, Literal["theirs_too_new", "theirs_too_old", "invalid_meta"])
    assert_type(JobState.FAILED.is_terminal, bool)
    JobFailedError("boom")  # E: mypy,pyright
