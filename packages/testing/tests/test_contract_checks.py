"""Contract tests of services: what a worker handles, fake workers, golden payloads."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import pytest

from taskora.contracts import Collect, JobFailedError, TaskContract, UsageError, ValidationError, define_task
from taskora.producer import AsyncProducer, Producer
from taskora.testing import TestRunner, assert_golden_payloads, assert_handles, fake_worker, record_golden
from taskora.worker import RunOptions, Worker


@dataclass
class Mail:
    to: str
    subject: str = ""


@dataclass
class MailWithPriority:
    to: str
    priority: int


@dataclass
class Sent:
    id: str


@dataclass
class NumberedSent:
    id: int


send = define_task("send-email", input=Mail, output=Sent)


def worker_for(contract: TaskContract[Mail, Sent], **options: Unpack[RunOptions]) -> Worker:
    worker = Worker("memory://")

    async def handle(data: Mail) -> Sent:
        return Sent(id=data.to)

    worker.implement(contract, handle, **options)
    return worker


@pytest.fixture
def url() -> str:
    return f"memory://{uuid.uuid4().hex}"


def test_a_worker_that_implements_a_contract_handles_it() -> None:
    assert_handles(worker_for(send), send)
    assert_handles(worker_for(send), define_task("send-email", input=Mail, output=Sent, version=1))


def test_a_contract_that_is_not_implemented_is_named_with_what_is() -> None:
    with pytest.raises(AssertionError, match=r"(?s)'send-mail' \(did you mean 'send-email'\?\).*- send-email"):
        assert_handles(worker_for(send), define_task("send-mail", input=Mail))
    with pytest.raises(AssertionError, match="is the module imported"):
        assert_handles(Worker("memory://"), send)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (define_task("send-email", input=Mail, output=Sent, version=4), "jobs have version 4, .* up to 3"),
        (define_task("send-email", input=Mail, output=Sent, version=1), "jobs have version 1, .* none below 2"),
        (define_task("send-email", input=MailWithPriority, output=Sent, version=3), ""),
        (define_task("send-email", input=int, output=Sent, version=3), "input is an integer .* an object"),
        (define_task("send-email", input=Sent, output=Sent, version=3), "input.to is required, and never written"),
        (define_task("send-email", input=Mail, output=NumberedSent, version=3), "output.id is a string .* an integer"),
        (
            define_task("send-email", input=Mail, output=Sent, version=3, collect=Collect(key="k", delay="1s")),
            "contract collects",
        ),
    ],
)
def test_what_does_not_fit_is_said(contract: TaskContract[Mail, Sent], message: str) -> None:
    worker = worker_for(define_task("send-email", input=Mail, output=Sent, version=3), since=2)
    if not message:
        assert_handles(worker, contract)
        return
    with pytest.raises(AssertionError, match=message):
        assert_handles(worker, contract)


async def test_a_fake_worker_answers_producers(url: str) -> None:
    async with fake_worker(send, result=Sent(id="1"), target=url) as fake, AsyncProducer(url) as producer:
        handle = await producer.register(send).dispatch(Mail(to="a"))
        assert await handle.result(timeout="5s") == Sent(id="1")
    assert fake.received == [Mail(to="a")]


async def test_a_fake_worker_fails_jobs_at_once(url: str) -> None:
    async with fake_worker(send, error=LookupError("no such address"), target=url), AsyncProducer(url) as producer:
        handle = await producer.register(send).dispatch(Mail(to="a"))
        with pytest.raises(JobFailedError, match="no such address"):
            await handle.result(timeout="5s")


def test_a_fake_worker_answers_threads(url: str) -> None:
    def answer(data: Mail) -> Sent:
        return Sent(id=data.to.upper())

    with fake_worker(send, handler=answer, target=url) as fake, Producer(url) as producer:
        assert producer.register(send).dispatch(Mail(to="a")).result(timeout="5s") == Sent(id="A")
    assert fake.received == [Mail(to="a")]


async def test_a_fake_worker_lives_on_a_runner_too() -> None:
    async with TestRunner() as runner, fake_worker(send, result=Sent(id="1"), target=runner.backend):
        assert await (await runner.dispatch(send, Mail(to="a"))).result(timeout="5s") == Sent(id="1")


def test_a_fake_worker_needs_one_answer_that_fits() -> None:
    with pytest.raises(UsageError, match="one of result=, error= and handler="):
        fake_worker(send)
    with pytest.raises(ValidationError, match="output"):
        fake_worker(send, result=Sent(id=object()))  # type: ignore[arg-type]  # that it is wrong is the point


def test_payloads_of_every_version_are_replayed_through_migrations(tmp_path: Path) -> None:
    first = define_task("send-email", input=dict[str, str])
    second = define_task("send-email", input=Mail, output=Sent, version=2)
    record_golden(first, {"recipient": "a"}, tmp_path)
    path = record_golden(second, Mail(to="a"), tmp_path / "send-email" / "v2" / "basic.json")
    assert path == tmp_path / "send-email" / "v2" / "basic.json"
    assert json.loads(path.read_text()) == {"to": "a", "subject": ""}

    def rename(old: dict[str, str]) -> dict[str, str]:
        return {"to": old["recipient"]}

    worker = worker_for(second, migrate={1: rename})
    assert_golden_payloads(worker, tmp_path)
    assert_golden_payloads(worker.register(second), tmp_path)
    with pytest.raises(AssertionError, match=r"(?s)v1.basic\.json is not understood any more.*to"):
        assert_golden_payloads(worker_for(second), tmp_path)


def test_versions_without_a_payload_are_named(tmp_path: Path) -> None:
    contract = define_task("send-email", input=Mail, output=Sent, version=3)
    record_golden(contract, Mail(to="a"), tmp_path)
    with pytest.raises(
        AssertionError, match=r"(?s)accepts version 1 \(since=1, version=3\).*accepts version 2"
    ) as told:
        assert_golden_payloads(worker_for(contract), tmp_path)
    assert "accepts version 3" not in str(told.value)
    assert_golden_payloads(worker_for(contract, since=3), tmp_path)
    with pytest.raises(AssertionError, match="is of version 3, the worker understands task 'send-email' up to 1"):
        assert_golden_payloads(worker_for(send), tmp_path)


def test_a_recorded_payload_does_not_change(tmp_path: Path) -> None:
    path = record_golden(send, Mail(to="a"), tmp_path)
    assert record_golden(send, Mail(to="a"), tmp_path) == path
    with pytest.raises(AssertionError, match="Raise the version"):
        record_golden(send, Mail(to="b"), tmp_path)
    record_golden(send, Mail(to="b"), tmp_path, name="other")
    assert_golden_payloads(worker_for(send), tmp_path)
    with pytest.raises(UsageError, match="path must be"):
        record_golden(send, Mail(to="b"), tmp_path / "b.json")


def test_payloads_of_a_task_that_collects_are_items(tmp_path: Path) -> None:
    contract = define_task("ingest", input=Mail, collect=Collect(key="k", delay="1s"))
    record_golden(contract, Mail(to="a"), tmp_path)
    worker = Worker("memory://")

    @worker.implement(contract, collect=Collect(key="k", delay="1s"))
    async def handle(items: list[Mail]) -> int:
        return len(items)

    assert_golden_payloads(worker, tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = record_golden(send, Mail(to="a"), tmp_path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(AssertionError, match="cannot be read as JSON"):
        assert_golden_payloads(worker_for(send), tmp_path)
