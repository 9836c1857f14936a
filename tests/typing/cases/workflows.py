"""Types flow through signatures and compositions."""

from typing import assert_type

from taskora.contracts import Chain, Chord, Group, Signature, Step, chain, chord, define_task, group
from taskora.producer import AsyncProducer, AsyncWorkflowHandle, Producer, WorkflowHandle
from taskora.worker import Context, Spawned, Worker

length = define_task("length", input=str, output=int)
double = define_task("double", input=int, output=int)
show = define_task("show", input=int, output=str)
total = define_task("total", input=list[int], output=int)
both = define_task("both", input=tuple[int, str], output=float)
start = define_task("start", output=int)
anything = define_task("anything", input=int)

# Steps
assert_type(length.s("a"), Step[object, int])
assert_type(length.s(), Step[str, int])
assert_type(start.s(None), Step[object, int])
length.s(3)  # E: mypy,pyright

# Chains
assert_type(chain(length.s("a")), Chain[object, int])
assert_type(chain(length.s("a"), show.s()), Chain[object, str])
assert_type(chain(length.s(), show.s()), Chain[str, str])
assert_type(chain(length.s("a"), double.s(), show.s(), length.s()), Chain[object, int])
ten = chain(
    length.s("a"),
    double.s(),
    double.s(),
    double.s(),
    double.s(),
    double.s(),
    double.s(),
    double.s(),
    double.s(),
    show.s(),
)
assert_type(ten, Chain[object, str])
assert_type(chain(length.s("a"), *(double.s() for _ in range(100))), Chain[object, int])
chain(length.s("a"), length.s())  # E: mypy,pyright
chain(show.s(1), show.s())  # E: mypy,pyright
chain(length.s("a"), show.s(), double.s())  # E: mypy,pyright
chain("a")  # E: mypy,pyright

# Data of its own beats the output of the step before
assert_type(chain(show.s(1), double.s(2)), Chain[object, int])

# Pipes
assert_type(length.s("a") | double.s(), Chain[object, int])
assert_type(length.s("a") | double.s() | show.s() | length.s(), Chain[object, int])
assert_type(length.s() | show.s(), Chain[str, str])
length.s("a") | length.s()  # E: mypy,pyright
length.s("a") | 3  # E: mypy,pyright

# Groups
assert_type(group(length.s("a"), show.s(1)), Group[object, tuple[int, str]])
assert_type(group([length.s("a"), length.s("b")]), Group[object, list[int]])
assert_type(group(length.s(text) for text in "abc"), Group[object, list[int]])
assert_type(group(double.s(), show.s()), Group[int, tuple[int, str]])
assert_type(group(double.s(), show.s(1)), Group[int, tuple[int, str]])
assert_type(length.s("a") | group(double.s(), show.s()) | both.s(), Chain[object, float])
assert_type(length.s("a") | group([double.s(), double.s()]) | total.s(), Chain[object, int])
group(length.s("a"), 3)  # E: mypy,pyright
group([1])  # E: mypy,pyright
length.s("a") | group(double.s(), show.s()) | total.s()  # E: mypy,pyright

# Chords
assert_type(chord([length.s("a"), length.s("b")], total.s()), Chord[object, int])
assert_type(chord([chain(length.s("a"), double.s()), length.s("b")], total.s()), Chord[object, int])
assert_type(chord([double.s(), double.s()], total.s()), Chord[int, int])
assert_type(chord(group(length.s("a"), show.s(1)), both.s()), Chord[object, float])
chord([length.s("a")], show.s())  # E: mypy,pyright
chord([show.s(1)], total.s())  # E: mypy,pyright
chord(length.s("a"), total.s())  # E: mypy,pyright

# What gives more may stand where less is wanted
given: Signature[object, object] = length.s("a")
given = chain(length.s("a"), anything.s())
taking: Signature[str, int] = length.s("a")
ready: Signature[object, int] = length.s()  # E: mypy,pyright


# Dispatching
async def dispatch(producer: AsyncProducer, worker: Worker) -> None:
    flow = await producer.dispatch(length.s("a") | show.s(), ttl="5m", name="named")
    assert_type(flow, AsyncWorkflowHandle[str])
    assert_type(await flow.result("5s"), str)
    assert_type(await (await producer.dispatch(group(length.s("a"), show.s(1)))).result(), tuple[int, str])
    await producer.dispatch(length.s() | show.s())  # E: mypy,pyright
    await producer.dispatch(length.s())  # E: mypy,pyright
    await producer.dispatch(length)  # E: mypy,pyright
    bound = producer.register(length)
    assert_type(bound.s("a"), Step[object, int])
    assert_type(await (await bound.map(["a", "b"])).result(), list[int])
    assert_type(await (await bound.chunk(["a", "b"], size=2)).result(), list[int])
    await bound.map([1, 2])  # E: mypy,pyright
    assert_type(await producer.workflow("id"), AsyncWorkflowHandle[object])
    assert_type(await producer.workflow("id", output=list[int]), AsyncWorkflowHandle[list[int]])
    assert_type(await (await producer.workflow("id", output=tuple[int, str] | None)).result(), tuple[int, str] | None)
    await producer.workflow(3)  # E: mypy,pyright
    inline = worker.register(show)
    assert_type(await (await producer.dispatch(bound.s("a") | inline.s())).result(), str)


def dispatch_from_a_thread(producer: Producer) -> None:
    assert_type(producer.dispatch(length.s("a") | show.s()), WorkflowHandle[str])
    assert_type(producer.register(length).map(["a"]).result(), list[int])
    assert_type(producer.workflow("id", output=int), WorkflowHandle[int])
    producer.dispatch(show.s())  # E: mypy,pyright


def spawning(ctx: Context) -> None:
    assert_type(ctx.spawn(length.s() | show.s()), Spawned[str])
    assert_type(ctx.spawn(length.s("a")), Spawned[int])
    ctx.spawn(length)  # E: mypy,pyright
