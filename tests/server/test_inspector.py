"""The inspector keeps nothing while off, and little while on."""

import asyncio

from server import inspector as module
from server.inspector import Inspector, note
from server.limits import INSPECTED, INSPECTED_CHARS, INSPECTED_CHARS_IN_ALL
from server.logs import redact


def switched_on() -> Inspector:
    inspector = Inspector(redact)
    inspector.switch(on=True)
    return inspector


def watch(inspector: Inspector, number: int, body: object) -> None:
    inspector.attend()
    inspector.watch(str(number), "POST /v1/messages", "tool", 0.0, body)


async def test_off_it_watches_nothing() -> None:
    inspector = Inspector(redact)
    watch(inspector, 1, {})
    note("upstream", {})
    assert inspector.traces() == ()


async def test_the_newest_come_first_and_the_oldest_go() -> None:
    inspector = switched_on()
    for number in range(INSPECTED + 3):
        watch(inspector, number, {})
    traces = inspector.traces()
    assert len(traces) == INSPECTED
    assert traces[0].id == str(INSPECTED + 2)
    inspector.switch(on=False)
    assert inspector.traces() == ()


async def test_a_long_request_leaves_room_for_its_answer_and_says_that_it_is_cut() -> None:
    inspector = switched_on()
    watch(inspector, 1, {"text": "x" * INSPECTED_CHARS})
    note("client", "more")
    note("stream", b'{"text": "an answer"}', "HTTP 200")
    (trace,) = inspector.traces()
    assert trace.cut == {"client"}
    assert [len(seen.text) for seen in trace.sides["client"]] == [INSPECTED_CHARS]
    assert [(seen.head, seen.text) for seen in trace.sides["stream"]] == [
        ("HTTP 200", '{\n  "text": "an answer"\n}')
    ]


async def test_all_requests_together_have_a_bound() -> None:
    inspector = switched_on()
    for number in range(INSPECTED):
        watch(inspector, number, "x" * INSPECTED_CHARS)
        for side in module.SIDES:
            note(side, "x" * INSPECTED_CHARS)
    kept = inspector.traces()
    assert kept[0].id == str(INSPECTED - 1)
    assert 1 < len(kept) <= INSPECTED_CHARS_IN_ALL // INSPECTED_CHARS


async def test_what_looks_like_a_credential_is_blanked_out() -> None:
    inspector = switched_on()
    watch(inspector, 1, {"text": "my key is AIzaFakeFakeFakeFakeFake"})
    note("answer", b"data: AIzaFakeFakeFakeFakeFake\n\n")
    (trace,) = inspector.traces()
    assert "FakeFake" not in str(trace.sides)


async def test_what_a_task_finds_is_seen_by_the_one_that_started_it() -> None:
    inspector = switched_on()
    inspector.attend()

    async def work() -> None:
        inspector.watch("1", "POST /v1/messages", "tool", 0.0, {})

    await asyncio.create_task(work())
    note("answer", "a refusal")
    assert inspector.traces()[0].sides["answer"][0].text == "a refusal"


async def test_each_task_notes_for_its_own_request() -> None:
    inspector = switched_on()

    async def work(number: int) -> None:
        watch(inspector, number, {})
        await asyncio.sleep(0)
        note("answer", f"answer {number}")

    await asyncio.gather(work(1), work(2))
    answers = {trace.id: trace.sides["answer"][0].text for trace in inspector.traces()}
    assert answers == {"1": "answer 1", "2": "answer 2"}


async def test_of_a_large_body_no_more_is_written_out_than_is_kept() -> None:
    inspector = switched_on()
    watch(inspector, 1, {"messages": [{"content": "x" * 1000}] * 20_000})
    (trace,) = inspector.traces()
    assert trace.cut == {"client"}
    assert trace.size == INSPECTED_CHARS
