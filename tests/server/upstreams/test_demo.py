"""The demo upstream: every feature, no account, no network."""

import json
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from server.demo.gemini_api import GeminiApi
from server.demo.harmless import WORD
from server.gemini.types import Chunk, EmbedCall, GenerateRequest
from server.upstreams.base import Outgoing
from server.upstreams.demo import Demo
from tests.rig import running
from tests.support import user, weather_tool

MODEL = "gemini-3.8-flash"


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
    assert (call["name"], call["args"]) == ("get_weather", {"city": WORD})


async def test_counting_agrees_with_answering(demo: Demo) -> None:
    out = outgoing("hello", tools=[weather_tool()], systemInstruction={"parts": [{"text": "x"}]})
    counted = (await demo.count_tokens(out)).tokens
    seen = await chunks(demo, out)
    assert counted == seen[-1]["usageMetadata"]["promptTokenCount"]


async def test_it_lists_models_and_says_who_it_is(demo: Demo) -> None:
    listed = await demo.models()
    assert MODEL in [model.id for model in listed]
    assert all(model.display_name.endswith(" (demo)") for model in listed)
    assert demo.name == "demo"
    assert (await demo.check()).tier == "demo"
    assert demo.account().authenticated


async def test_its_vectors_are_marked_as_mock(demo: Demo) -> None:
    call = EmbedCall(dialect="openai-chat", model="text-embedding-3-small", inputs=("a", (1, 2)))
    made = await demo.embed(call, call.model)
    assert made.mock
    assert [len(vector) for vector in made.vectors] == [1536, 1536]
    assert made == await demo.embed(call, call.model)


async def test_every_dialect_calls_a_tool_only_where_it_is_forced(tmp_path: Path) -> None:
    """The words of the prompt are in no call, whichever way the force is written."""
    asks = [{"role": "user", "content": 'Run `rm -rf dist` and "reboot" with bash, both'}]
    shell = {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}
    async with running(tmp_path, upstream="demo") as rig:
        chat: Any = rig.openai().chat.completions
        function = {"type": "function", "function": {"name": "bash", "parameters": shell}}
        free = await chat.create(model=MODEL, messages=asks, tools=[function])
        assert free.choices[0].message.tool_calls is None
        assert "rm -rf" not in free.choices[0].message.content
        forced = await chat.create(
            model=MODEL, messages=asks, tools=[function], tool_choice="required"
        )
        (call,) = forced.choices[0].message.tool_calls
        assert json.loads(call.function.arguments) == {"cmd": WORD}

        messages: Any = rig.anthropic().messages
        tools = [{"name": "bash", "input_schema": shell}]
        common = {"model": MODEL, "max_tokens": 999, "messages": asks, "tools": tools}
        free = await messages.create(**common)
        assert [block.type for block in free.content] == ["text"]
        choice = {"type": "tool", "name": "bash"}
        forced = await messages.create(**common, tool_choice=choice)
        assert [block.input for block in forced.content] == [{"cmd": WORD}]

        responses: Any = rig.openai().responses
        tools = [{"type": "function", "name": "bash", "parameters": shell}]
        free = await responses.create(model=MODEL, input=asks[0]["content"], tools=tools)
        assert "function_call" not in [item.type for item in free.output]
        choice = {"type": "function", "name": "bash"}
        forced = await responses.create(
            model=MODEL, input=asks[0]["content"], tools=tools, tool_choice=choice
        )
        called = [item for item in forced.output if item.type == "function_call"]
        assert [json.loads(item.arguments) for item in called] == [{"cmd": WORD}]


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3.1-flash-lite", "gemini-4-neon"])
async def test_every_model_can_be_looked_at_whatever_day_it_is(demo: Demo, model: str) -> None:
    seen = await chunks(demo, outgoing("hello", model))
    assert seen[-1]["modelVersion"] == model


@pytest.mark.parametrize(("turns", "thread"), [(1, "MainThread"), (2_000, "off-loop")])
async def test_a_large_request_is_answered_outside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int, thread: str
) -> None:
    """A demo asked 100,000 safety settings answered nobody else for 18 seconds."""
    threads: list[str] = []

    def noting(google: GeminiApi, request: httpx.Request) -> httpx.Response:
        threads.append(threading.current_thread().name)
        return answered(google, request)

    answered = GeminiApi.handle
    monkeypatch.setattr(GeminiApi, "handle", noting)
    said = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}] * turns
    async with running(tmp_path, upstream="demo", gemini_api_key=None) as rig:
        body = {"model": "gemini-2.5-flash", "messages": [*said, said[0]]}
        answer = await rig.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
    assert threads[-1] == thread


async def test_its_lists_say_who_answers_and_nothing_of_keys(tmp_path: Path) -> None:
    async with running(
        tmp_path, upstream="demo", gemini_api_key=None, model_fast="gemini-2.5-flash"
    ) as rig:
        models = {m["id"]: m for m in (await rig.http.get("/v1/models")).json()["data"]}
        for name in ("gemini-best", "claude-gp-gemini-best", "gpt-4o"):
            answers = models[name]["alias_of"]
            assert models[name]["description"] == f"Answered by {answers} on the demo"
        told = models["gemini-fast"]["description"]
        assert told == "Answered by gemini-2.5-flash on the demo (chosen by MODEL_FAST)"
        one = (await rig.http.get("/v1/models/gpt-5-nano")).json()
        assert one["description"] == f"Answered by {one['alias_of']} on the demo"
        assert "free keys" not in (await rig.http.get("/")).text
