"""The demo upstream: every feature, no account, no network."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import cast

import pytest

from server.gemini.types import Chunk, EmbedCall, GenerateRequest
from server.upstreams.base import Outgoing
from server.upstreams.demo import Demo
from tests.support import user, weather_tool

MODEL = "gemini-2.5-flash"


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    upstream = Demo(chunk_delay_s=0)
    yield upstream
    await upstream.aclose()


def outgoing(text: str, model: str = MODEL, **request: object) -> Outgoing:
    body = cast("GenerateRequest", {"contents": [user(text)], **request})
    return Outgoing(model=model, request=body, session="s", prompt_id="p")


async def chunks(demo: Demo, out: Outgoing) -> list[Chunk]:
    async with aclosing(demo.generate(out)) as batches:
        return [chunk async for batch in batches for chunk in batch]


async def test_every_text_answer_is_labelled(demo: Demo) -> None:
    seen = await chunks(demo, outgoing("hello there"))
    parts = [part for chunk in seen for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts) == "[demo] You said: hello there"
    assert len(seen) > 1
    assert seen[-1]["usageMetadata"]["totalTokenCount"] > 0


async def test_it_calls_a_tool_only_where_the_client_forces_it(demo: Demo) -> None:
    free = await chunks(demo, outgoing("The weather in Paris?", tools=[weather_tool()]))
    assert "functionCall" not in str(free)
    forced = {"functionCallingConfig": {"mode": "ANY"}}
    seen = await chunks(
        demo, outgoing("The weather in Paris?", tools=[weather_tool()], toolConfig=forced)
    )
    call = seen[0]["candidates"][0]["content"]["parts"][0]["functionCall"]
    assert call == {"name": "get_weather", "args": {"city": "demo-value"}}


async def test_counting_agrees_with_answering(demo: Demo) -> None:
    out = outgoing("hello", tools=[weather_tool()], systemInstruction={"parts": [{"text": "x"}]})
    counted = await demo.count_tokens(out)
    seen = await chunks(demo, out)
    assert counted == seen[-1]["usageMetadata"]["promptTokenCount"]


async def test_it_lists_models_and_says_who_it_is(demo: Demo) -> None:
    assert MODEL in [model.id for model in await demo.models()]
    assert demo.name == "demo"
    assert (await demo.check()).tier == "demo"
    assert demo.account().authenticated


async def test_its_vectors_are_marked_as_mock(demo: Demo) -> None:
    call = EmbedCall(dialect="openai-chat", model="text-embedding-3-small", inputs=("a", (1, 2)))
    made = await demo.embed(call, call.model)
    assert made.mock
    assert [len(vector) for vector in made.vectors] == [1536, 1536]
    assert made == await demo.embed(call, call.model)
