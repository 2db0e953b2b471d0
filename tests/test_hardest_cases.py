"""The hardest cases of both protocol notes, end to end: real HTTP in front, a strict Google behind.

Numbers are those of the notes' last tables; rows about one function alone are tested beside it.
"""

import base64
import gzip
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from server.core.downloads import Fetcher
from server.demo import rules
from server.demo.errors import invalid
from server.gemini.signatures import BYPASS
from tests.google import failures
from tests.google.model import Answer
from tests.google.wire import Framing
from tests.rig import Rig, running

FLASH, PRO, THREE = "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 62).decode()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(tmp_path) as running_rig:
        yield running_rig


async def chat(rig: Rig, messages: list[Any], *, model: str = FLASH, **more: Any) -> Any:
    body = {"model": model, "messages": messages, **more}
    answer = await rig.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def claude(rig: Rig, messages: list[Any], *, model: str = FLASH, **more: Any) -> Any:
    body = {"model": model, "max_tokens": 4000, "messages": messages, **more}
    answer = await rig.http.post("/v1/messages", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stream(rig: Rig, path: str, body: dict[str, Any]) -> list[Any]:
    """The data of every event; ``[DONE]`` stays a string."""
    answer = await rig.http.post(path, json={**body, "stream": True})
    assert answer.status_code == 200, answer.text
    data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [item if item == "[DONE]" else json.loads(item) for item in data]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def calls(*ids: str, name: str = "look", arguments: str = "{}") -> dict[str, Any]:
    made = [
        {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}
        for i in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(call_id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def tool(name: str = "look", **schema: Any) -> dict[str, Any]:
    parameters = schema or {"type": "object", "properties": {"at": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def claude_tool(name: str = "look", **schema: Any) -> dict[str, Any]:
    parameters = schema or {"type": "object", "properties": {"at": {"type": "string"}}}
    return {"name": name, "input_schema": parameters}


def uses(*ids: str, name: str = "look") -> dict[str, Any]:
    content = [{"type": "tool_use", "id": i, "name": name, "input": {}} for i in ids]
    return {"role": "assistant", "content": content}


def used(call_id: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def responses(rig: Rig, turn: int = -1) -> list[Any]:
    parts = rig.sent[-1]["contents"][turn]["parts"]
    return [part["functionResponse"] for part in parts if "functionResponse" in part]


def signatures(rig: Rig) -> list[list[str | None]]:
    """Per model turn: the signature of each function call."""
    return [
        [part.get("thoughtSignature") for part in content["parts"] if "functionCall" in part]
        for content in rig.sent[-1]["contents"]
        if content["role"] == "model"
    ]


# ── OpenAI chat ──────────────────────────────────────────────────────────────────────────────────


async def test_openai_1_results_in_reverse_order_with_text_between(rig: Rig) -> None:
    history = [
        user("go"),
        calls("a", "b", "c"),
        result("c", "3"),
        user("meanwhile"),
        result("b", "2"),
        result("a", "1"),
    ]
    await chat(rig, history, tools=[tool()])
    assert [r["response"]["output"] for r in responses(rig)] == ["1", "2", "3"]
    assert rig.sent[-1]["contents"][-1]["parts"][-1] == {"text": "meanwhile"}


async def test_openai_2_a_missing_result_is_filled_in(rig: Rig) -> None:
    await chat(rig, [user("go"), calls("a", "b"), result("a", "1")], tools=[tool()])
    first, second = responses(rig)
    assert first["response"] == {"output": "1"}
    assert "error" in second["response"]


async def test_openai_3_a_result_nobody_asked_for_becomes_text(rig: Rig) -> None:
    await chat(rig, [user("go"), result("ghost", "boo"), user("and?")])
    sent = json.dumps(rig.sent[-1]["contents"])
    assert "ghost" in sent
    assert "boo" in sent
    assert "functionResponse" not in sent


async def test_openai_5_without_any_memory_the_first_call_of_each_step_is_bypassed(
    rig: Rig,
) -> None:
    history = [
        user("go"),
        calls("a", "b"),
        result("a", "1"),
        result("b", "2"),
        calls("c"),
        result("c", "3"),
    ]
    await chat(rig, history, model=THREE, tools=[tool()])
    assert signatures(rig) == [[BYPASS, None], [BYPASS]]


async def test_openai_6_a_signature_of_another_model_or_garbage_is_bypassed(rig: Rig) -> None:
    for google in (
        {"thought_signature": "c2lnbmVk", "thought_signature_model": "gemini-3-pro-preview"},
        {"thought_signature": "not base64 !"},
    ):
        asked = calls("a")
        asked["tool_calls"][0]["extra_content"] = {"google": google}
        await chat(rig, [user("go"), asked, result("a", "1")], model=THREE, tools=[tool()])
        assert signatures(rig) == [[BYPASS]]


@pytest.mark.parametrize("arguments", ["", "null", "[1]", '{"at": "cut'])
async def test_openai_7_odd_arguments_in_the_history_never_fail(rig: Rig, arguments: str) -> None:
    history = [user("go"), calls("a", arguments=arguments), result("a", "1")]
    await chat(rig, history, tools=[tool()])
    call = rig.sent[-1]["contents"][1]["parts"][0]["functionCall"]
    assert isinstance(call["args"], dict)
    if arguments not in ("", "null"):
        assert call["args"] == {"_raw": arguments}


async def test_openai_8_odd_schemas_pass(rig: Rig) -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}}
    named = {"title": {"type": "string"}, "$schema": {"const": 1}, "format": {"type": "integer"}}
    tools = [
        {"type": "function", "function": {"name": "bare"}},
        tool("empty", type="object", properties={}),
        tool("tree", **tree),
        tool("nullable", type="object", properties={"a": {"type": ["string", "null"]}}),
        tool("named", type="object", properties=named, required=["title", "gone"]),
        tool("bare"),
    ]
    await chat(rig, [user("go")], tools=tools)
    declared = rig.sent[-1]["tools"][0]["functionDeclarations"]
    assert [d["name"] for d in declared] == ["bare", "empty", "tree", "nullable", "named"]
    assert "parametersJsonSchema" not in declared[0]
    assert "parametersJsonSchema" not in declared[1]
    assert set(declared[4]["parametersJsonSchema"]["properties"]) == set(named)
    assert declared[4]["parametersJsonSchema"]["required"] == ["title"]


async def test_openai_9_a_schema_beside_tools_on_2_5_becomes_an_instruction(rig: Rig) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for model, both in ((PRO, False), (THREE, True)):
        await chat(rig, [user("go")], model=model, tools=[tool()], response_format=form)
        sent = rig.sent[-1]
        assert ("responseJsonSchema" in sent.get("generationConfig", {})) is both
        assert ("city" in json.dumps(sent.get("systemInstruction", ""))) is not both
        assert sent["tools"]


async def test_openai_10_a_developer_message_between_calls_and_results_waits(rig: Rig) -> None:
    late = {"role": "developer", "content": "be careful"}
    await chat(rig, [user("go"), calls("a"), late, result("a", "1")], tools=[tool()])
    parts = rig.sent[-1]["contents"][-1]["parts"]
    assert "functionResponse" in parts[0]
    assert "be careful" in parts[1]["text"]


async def test_openai_11_images_by_data_url_by_address_and_from_inside(tmp_path: Path) -> None:
    async def nowhere(host: str, port: int) -> str:
        raise ValueError(f"{host}:{port} is not a public address")

    def seen(url: str) -> list[Any]:
        return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]

    async with running(tmp_path, fetcher=Fetcher(resolve=nowhere)) as rig:
        odd = f"data:image/png;charset=utf-8;base64,{PNG.rstrip('=')}"
        await chat(rig, seen(odd))
        data = rig.sent[-1]["contents"][0]["parts"][0]["inlineData"]
        assert data == {"mimeType": "image/png", "data": PNG}
        body = {"model": FLASH, "messages": seen("http://10.0.0.8/cat.png")}
        refused = await rig.http.post("/v1/chat/completions", json=body)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"].startswith("messages[0].content[0]")


async def test_openai_12_thoughts_text_and_two_calls_stream_in_order(rig: Rig) -> None:
    parts: list[Any] = [
        {"text": "hm", "thought": True},
        {"text": "I will look."},
        {"functionCall": {"name": "look", "args": {"at": "a"}}},
        {"functionCall": {"name": "look", "args": {"at": "b"}}},
    ]
    rig.google.answers.append(Answer(parts=parts))
    body = {
        "model": PRO,
        "messages": [user("go")],
        "tools": [tool()],
        "stream_options": {"include_usage": True},
    }
    events = await stream(rig, "/v1/chat/completions", body)
    assert events[-1] == "[DONE]"
    assert events[-2]["choices"] == []
    assert events[-2]["usage"]["total_tokens"] > 0
    deltas = [event["choices"][0]["delta"] for event in events[:-2]]
    assert [d["role"] for d in deltas if "role" in d] == ["assistant"]
    kinds = [next(iter(set(d) - {"role"}), "") for d in deltas[1:-1]]
    assert kinds == ["reasoning_content", "content", *["tool_calls"] * 4]
    assert [d["tool_calls"][0]["index"] for d in deltas[3:-1]] == [0, 0, 1, 1]
    assert events[-3]["choices"][0]["finish_reason"] == "tool_calls"


async def test_openai_13_thoughts_that_eat_the_limit_end_as_length(rig: Rig) -> None:
    rig.google.fail(failures.thinking_only())
    choice = (await chat(rig, [user("go")], model=PRO))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert not choice["message"]["content"]


async def test_openai_14_blocks_are_content_filter_with_200(rig: Rig) -> None:
    rig.google.fail(failures.finishes("SAFETY"), failures.prompt_blocked())
    finished = await chat(rig, [user("go")])
    blocked = await chat(rig, [user("go")])
    assert finished["choices"][0]["finish_reason"] == "content_filter"
    assert blocked["choices"][0]["finish_reason"] == "content_filter"
    assert "PROHIBITED_CONTENT" in blocked["choices"][0]["message"]["refusal"]


async def test_openai_15_a_malformed_call_is_asked_again_unseen(rig: Rig) -> None:
    rig.google.fail(failures.malformed_function_call())
    body = {"model": PRO, "messages": [user("go")], "tools": [tool()]}
    events = await stream(rig, "/v1/chat/completions", body)
    finishes = [e["choices"][0]["finish_reason"] for e in events[:-1] if e["choices"]]
    assert [f for f in finishes if f] == ["tool_calls"]
    assert len(rig.sent) == 2


async def test_openai_16_a_refusal_before_and_after_the_first_byte(rig: Rig) -> None:
    rig.google.fail(failures.rate_limited(delay_s=7.3))
    body = {"model": PRO, "messages": [user("go")], "stream": True}
    early = await rig.http.post("/v1/chat/completions", json=body)
    assert (early.status_code, early.headers["retry-after"]) == (429, "8")
    rig.google.fail(failures.error_event(after=2))
    late = await stream(rig, "/v1/chat/completions", {**body, "model": FLASH})
    assert "error" in late[-1]
    assert "[DONE]" not in late
    assert not any(e["choices"][0]["finish_reason"] for e in late[:-1])


@pytest.mark.parametrize(
    "framing",
    [
        Framing(newline="\r\n"),
        Framing(split_bytes=1),
        Framing(newline="\r\n", split_bytes=3),
        Framing(multiline=True),
        Framing(comments=True),
        Framing(gzip=True),
    ],
)
async def test_openai_19_any_framing_gives_the_same_text(rig: Rig, framing: Framing) -> None:
    rig.google.framing = framing
    answer = await chat(rig, [user("grüße 😀 ½ \u2028 end")], model=PRO)
    assert answer["choices"][0]["message"]["content"].endswith("grüße 😀 ½ \u2028 end")


async def test_openai_20_two_choices_stream_side_by_side(rig: Rig) -> None:
    body = {
        "model": FLASH,
        "messages": [user("go")],
        "n": 2,
        "stream_options": {"include_usage": True},
    }
    events = await stream(rig, "/v1/chat/completions", body)
    choices = [event["choices"][0] for event in events[:-1] if event["choices"]]
    roles = [c["index"] for c in choices if "role" in c["delta"]]
    ends = [c["index"] for c in choices if c["finish_reason"]]
    assert sorted(roles) == sorted(ends) == [0, 1]
    assert len([e for e in events[:-1] if e.get("usage")]) == 1
    assert len(rig.sent) == 2


async def test_openai_25_packed_bodies_and_slashes_in_names(rig: Rig) -> None:
    body = gzip.compress(json.dumps({"model": "gpt-4o", "messages": [user("hi")]}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    packed = await rig.http.post("/v1/chat/completions", content=body, headers=headers)
    assert packed.status_code == 200
    vectors = await rig.http.post(
        "/v1/embeddings",
        json={"model": "text-embedding-3-small", "input": "x", "encoding_format": "base64"},
    )
    assert len(base64.b64decode(vectors.json()["data"][0]["embedding"])) % 4 == 0


async def test_openai_bonus_rows(rig: Rig) -> None:
    long_name = "x" * 90
    await chat(rig, [user("")], tools=[tool(long_name + "1"), tool(long_name + "2")])
    names = [d["name"] for d in rig.sent[-1]["tools"][0]["functionDeclarations"]]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 64
    await chat(rig, [user("go"), calls("a"), result("a", "1")], tools=[])
    assert "tools" not in rig.sent[-1]
    await chat(rig, [{"role": "system", "content": "only this"}])
    assert "only this" in json.dumps(rig.sent[-1]["contents"])
    await chat(rig, [user("go")], stop="", seed=2**40, temperature=0)
    await chat(rig, [user("go")], stop=["a", "b", "c", "d", "e", "f", "said"])
    rig.google.fail(failures.no_usage())
    await chat(rig, [user("go")])
    assert (await rig.usage())["recent_requests"][0]["estimated"] is True
    big = "y" * 2_000_000
    await chat(rig, [user("go"), calls("a"), result("a", big)], tools=[tool()])
    many = [tool(f"tool_{number}") for number in range(500)]
    await chat(rig, [user("go")], tools=many)


# ── Anthropic messages ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", [PRO, THREE])
async def test_anthropic_2_results_in_completion_order_with_error_and_image(
    rig: Rig, model: str
) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    history = [
        user("go"),
        uses("a", "b", "c"),
        {
            "role": "user",
            "content": [
                used("c", [{"type": "image", "source": source}]),
                used("b", "broken", is_error=True),
                used("a", "fine"),
                {"type": "text", "text": "next"},
            ],
        },
    ]
    await claude(rig, history, model=model, tools=[claude_tool()])
    first, second, third = responses(rig)
    assert first["response"] == {"output": "fine"}
    assert second["response"] == {"error": "broken"}
    parts = rig.sent[-1]["contents"][-1]["parts"]
    if model == THREE:
        assert third["parts"][0]["inlineData"]["data"] == PNG
    else:
        assert "parts" not in third
        assert [p for p in parts[3:] if "inlineData" in p]
    assert {"text": "next"} in parts[3:]


async def signed_answer(rig: Rig, history: list[Any]) -> Any:
    """Thought, text, and two parallel calls of which the first is signed."""
    parts: list[Any] = [
        {"text": "hm", "thought": True},
        {"text": "I will look."},
        {"functionCall": {"name": "look", "args": {"at": "a"}}},
        {"functionCall": {"name": "look", "args": {"at": "b"}}},
    ]
    rig.google.answers.append(Answer(parts=parts, signed=True))
    thinking = {"type": "enabled", "budget_tokens": 2000}
    return await claude(rig, history, model=THREE, tools=[claude_tool()], thinking=thinking)


async def test_anthropic_3_to_7_signatures_by_store_by_envelope_and_bypassed(
    tmp_path: Path,
) -> None:
    history: list[Any] = [user("go")]
    async with running(tmp_path) as rig:
        answer = await signed_answer(rig, history)
        blocks = answer["content"]
        kinds = ["thinking", "text", "thinking", "tool_use", "tool_use"]
        assert [block["type"] for block in blocks] == kinds
        assert blocks[2]["thinking"] == ""
        assert blocks[2]["signature"].startswith("gp1.")
        assert answer["stop_reason"] == "tool_use"
        one, two = blocks[3]["id"], blocks[4]["id"]
        assert one != two
        history.append({"role": "assistant", "content": blocks})
        history.append({"role": "user", "content": [used(two, "2"), used(one, "1")]})
        await claude(rig, history, model=THREE, tools=[claude_tool()])
        ((original, none),) = signatures(rig)
        assert original not in (None, BYPASS)
        assert none is None
    shutil.rmtree(tmp_path)
    async with running(tmp_path) as rig:  # 5: the envelope alone
        await claude(rig, history, model=THREE, tools=[claude_tool()])
        assert signatures(rig) == [[original, None]]
    shutil.rmtree(tmp_path)
    async with running(tmp_path) as rig:  # 6: the client has stripped its thinking blocks
        bare = [block for block in blocks if block["type"] != "thinking"]
        stripped = [history[0], {"role": "assistant", "content": bare}, history[2]]
        await claude(rig, stripped, model=THREE, tools=[claude_tool()])
        assert signatures(rig) == [[BYPASS, None]]
        genuine = {"type": "thinking", "thinking": "hm", "signature": "EqQBCkYIBxgCKkA="}
        foreign = [history[0], {"role": "assistant", "content": [genuine, *bare]}, history[2]]
        await claude(rig, foreign, model=THREE, tools=[claude_tool()])  # 7
        assert signatures(rig) == [[BYPASS, None]]


async def test_anthropic_8_a_refused_signature_costs_one_silent_retry(rig: Rig) -> None:
    answer = await signed_answer(rig, [user("go")])
    one, two = (b["id"] for b in answer["content"] if b["type"] == "tool_use")
    rig.google.fail(failures.corrupted_signature())
    history = [
        user("go"),
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [used(one, "1"), used(two, "2")]},
    ]
    await claude(rig, history, model=THREE, tools=[claude_tool()])
    assert signatures(rig)[0][0] == BYPASS
    assert len(rig.sent) == 3


async def test_anthropic_9_a_connection_test_with_one_token(rig: Rig) -> None:
    answer = await rig.http.post(
        "/v1/messages",
        json={"model": "claude-haiku-4-5-20251001", "messages": [user("Hey")], "max_tokens": 1},
        headers={"x-api-key": "any", "anthropic-version": "2023-06-01"},
    )
    assert answer.status_code == 200
    assert answer.json()["id"]
    assert answer.json()["stop_reason"] in ("max_tokens", "end_turn")


async def test_anthropic_10_limits_beyond_the_model_are_clamped(rig: Rig) -> None:
    await claude(rig, [user("go")], model=PRO, max_tokens=128_000, thinking={"type": "adaptive"})
    assert rig.sent[-1]["generationConfig"]["maxOutputTokens"] <= 65_536
    thinking = {"type": "enabled", "budget_tokens": 31_999, "display": "omitted"}
    await claude(rig, [user("go")], model=PRO, max_tokens=32_000, thinking=thinking)
    config = rig.sent[-1]["generationConfig"]
    assert config["thinkingConfig"]["thinkingBudget"] < config["maxOutputTokens"]


async def test_anthropic_11_deferred_tools_are_declared_once_they_are_named(rig: Rig) -> None:
    search = {"type": "tool_reference", "tool_name": "WebFetch"}
    tools = [
        claude_tool("ToolSearch"),
        {**claude_tool("WebFetch"), "defer_loading": True},
        {**claude_tool("Notebook"), "defer_loading": True},
        {**claude_tool("DeferredToolPlaceholder"), "defer_loading": True},
    ]
    history = [
        user("go"),
        uses("a", name="ToolSearch"),
        {"role": "user", "content": [used("a", [search])]},
    ]
    await claude(rig, history, tools=tools)
    declared = [d["name"] for d in rig.sent[-1]["tools"][0]["functionDeclarations"]]
    assert declared == ["ToolSearch", "WebFetch"]


async def test_anthropic_12_web_search_alone_becomes_search_blocks(rig: Rig) -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    answer = await claude(rig, [user("news?")], tools=[search])
    assert rig.sent[-1]["tools"] == [{"googleSearch": {}}]
    kinds = [block["type"] for block in answer["content"]]
    assert kinds[:2] == ["server_tool_use", "web_search_tool_result"]
    assert kinds[-1] == "text"
    assert answer["usage"]["server_tool_use"]["web_search_requests"] >= 1


async def test_anthropic_13_a_stop_sequence_over_two_chunks(rig: Rig) -> None:
    pieces = [{"text": text} for text in ("one\nObserv", "ation: two", "three", "four")]
    rig.google.answers.append(Answer(parts=pieces))
    rig.google.chunk_delay_s = 0.01
    answer = await claude(rig, [user("go")], stop_sequences=["\nObservation:"])
    assert answer["content"][0]["text"] == "one"
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "\nObservation:")
    assert rig.google.calls("streamGenerateContent")[0].cancelled


async def test_anthropic_14_an_upstream_that_dies_is_an_error_never_an_end(rig: Rig) -> None:
    rig.google.fail(failures.connection_cut(after=2), times=5)
    body = {"model": PRO, "max_tokens": 100, "messages": [user("a long enough text to cut")]}
    events = await stream(rig, "/v1/messages", body)
    assert events[-1]["type"] == "error"
    assert events[-1]["error"]["type"] == "api_error"
    assert "message_stop" not in [event["type"] for event in events]
    unary = await rig.http.post("/v1/messages", json=body)
    assert unary.status_code >= 500


async def test_anthropic_15_short_and_daily_limits(rig: Rig) -> None:
    body = {"model": PRO, "max_tokens": 100, "messages": [user("go")]}
    rig.google.fail(failures.rate_limited(delay_s=7.3))
    short = await rig.http.post("/v1/messages", json=body)
    assert (short.status_code, short.headers["retry-after"]) == (429, "8")
    assert "x-should-retry" not in short.headers
    rig.google.fail(failures.quota_exhausted(model=FLASH))
    daily = await rig.http.post("/v1/messages", json={**body, "model": FLASH})
    assert daily.headers["x-should-retry"] == "false"
    assert int(daily.headers["retry-after"]) > 30_000


async def test_anthropic_16_too_long_is_said_in_the_words_claude_code_knows(rig: Rig) -> None:
    rig.google.fail(failures.input_too_long(1_200_000, 1_048_576))
    body = {"model": PRO, "max_tokens": 100, "messages": [user("go")]}
    answer = await rig.http.post("/v1/messages", json=body)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert message == "prompt is too long: 1200000 tokens > 1048576 maximum"
    rig.google.fail(failures.input_too_long())
    other = await rig.http.post("/v1/chat/completions", json=body)
    assert other.json()["error"]["code"] == "context_length_exceeded"


async def test_anthropic_17_blocks_are_refusals_in_legal_order(rig: Rig) -> None:
    body = {"model": PRO, "max_tokens": 100, "messages": [user("go")]}
    for failure in (failures.finishes("SAFETY"), failures.prompt_blocked()):
        rig.google.fail(failure)
        events = await stream(rig, "/v1/messages", body)
        kinds = [event["type"] for event in events]
        assert kinds[0] == "message_start"
        assert kinds[-2:] == ["message_delta", "message_stop"]
        assert events[-2]["delta"]["stop_reason"] == "refusal"


async def test_anthropic_18_odd_names_and_schemas_come_back_unchanged(rig: Rig) -> None:
    name = "mcp__srv.with/odd name__" + "x" * 60
    schema = {
        "type": "object",
        "properties": {
            "a": {"$ref": "#/$defs/a"},
            "b": {"const": 1},
            "c": {"type": ["string", "null"]},
            "d": {"allOf": [{"type": "object", "properties": {"e": {"type": "string"}}}]},
        },
        "$defs": {"a": {"type": "string"}},
    }
    answer = await claude(rig, [user("go")], tools=[claude_tool(name, **schema)])
    call = next(block for block in answer["content"] if block["type"] == "tool_use")
    assert call["name"] == name
    sent = rig.sent[-1]["tools"][0]["functionDeclarations"][0]["name"]
    assert len(sent) <= 64


async def test_anthropic_19_structured_output_loses_its_fences(rig: Rig) -> None:
    rig.google.answers.append(Answer(parts=[{"text": "```json\n"}, {"text": '{"a":1}\n```'}]))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    answer = await claude(
        rig, [user("go")], output_config={"format": {"type": "json_schema", "schema": schema}}
    )
    assert json.loads(answer["content"][0]["text"]) == {"a": 1}


async def test_anthropic_extra_rows(rig: Rig) -> None:
    reminder = {"role": "system", "content": [{"type": "text", "text": "remember"}]}
    history = [user("go"), uses("a"), {"role": "user", "content": [used("a", "1")]}, reminder]
    await claude(rig, history, tools=[claude_tool()])
    parts = rig.sent[-1]["contents"][-1]["parts"]
    assert "functionResponse" in parts[0]
    assert "remember" in parts[-1]["text"]
    rig.google.answers.append(
        Answer(parts=[{"functionCall": {"name": "look", "args": {}}} for _ in range(2)])
    )
    choice = {"type": "tool", "name": "look", "disable_parallel_tool_use": True}
    answer = await claude(rig, [user("go")], tools=[claude_tool()], tool_choice=choice)
    assert [b["type"] for b in answer["content"]].count("tool_use") == 1
    config = rig.sent[-1]["toolConfig"]["functionCallingConfig"]
    assert config == {"mode": "ANY", "allowedFunctionNames": ["look"]}


STUBBORN = {"x": {"type": "string", "pattern": "^a"}}
MINUTES = {"minutes": {"type": "integer", "enum": [60, 1440]}, "at": {"type": ["string", "null"]}}


def refuse_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Google that also refuses ``pattern``."""
    check = rules.check_json_schema

    def stricter(schema: object, path: str) -> None:
        check(schema, path)
        if '"pattern":' in json.dumps(schema):
            raise invalid(f"* GenerateContentRequest.{path}: pattern is not supported.")

    monkeypatch.setattr(rules, "check_json_schema", stricter)


async def test_a_refused_tool_costs_one_request_and_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_patterns(monkeypatch)
    declared = [
        tool("wait", type="object", properties=MINUTES, required=["minutes"]),
        tool("bad", type="object", properties=STUBBORN),
    ]
    counts = []
    for _start in range(2):
        async with running(tmp_path) as rig:
            for _turn in range(2):
                before = len(rig.sent)
                forced = {"type": "function", "function": {"name": "wait"}}
                answer = await chat(rig, [user("go")], tools=declared, tool_choice=forced)
                counts.append(len(rig.sent) - before)
                wait, bad = rig.sent[-1]["tools"][0]["functionDeclarations"]
                assert wait["parametersJsonSchema"]["properties"] == MINUTES
                assert bad["parametersJsonSchema"]["properties"]["x"]["type"] == "string"
                arguments = json.loads(
                    answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
                )
                assert arguments["minutes"] == 60
    assert counts == [2, 1, 1, 1]


async def test_a_refused_signature_is_refused_once_and_fresh_ones_stay_as_they_are(
    tmp_path: Path,
) -> None:
    """An agent's loop whose first call another backend has signed, also over a restart."""
    foreign = calls("a")
    google = {"thought_signature": base64.b64encode(b"of another backend" * 8).decode()}
    foreign["tool_calls"][0]["extra_content"] = {"google": google}
    history = [user("go"), foreign, result("a", "1")]
    counts: list[int] = []
    for _start in range(2):
        async with running(tmp_path) as rig:
            for _turn in range(3):
                more = {"functionCall": {"name": "look", "args": {"at": str(len(counts))}}}
                rig.google.answers.append(Answer(parts=[more], signed=True))
                before = len(rig.sent)
                answer = await chat(rig, history, model=THREE, tools=[tool()])
                counts.append(len(rig.sent) - before)
                (first,), *fresh = signatures(rig)
                assert first == BYPASS
                assert len(fresh) == len(counts) - 1
                assert all(one not in (None, BYPASS) for (one,) in fresh)
                message = answer["choices"][0]["message"]
                history += [message, result(message["tool_calls"][0]["id"], "on")]
    assert counts == [2, 1, 1, 1, 1, 1]


class Maybe(BaseModel):
    """What Pydantic makes of null in its usual places."""

    name: str | None
    size: Literal["a", "b"] | None
    either: str | int | None
    rows: list[str | None] | None


async def test_the_sdks_own_models_with_null_come_back_parsed(rig: Rig) -> None:
    """Google refuses ``nullable`` here, and arrays without ``items``."""
    said: Any = user("go")
    chat_answer = await rig.openai().chat.completions.parse(
        model=PRO, messages=[said], response_format=Maybe
    )
    assert isinstance(chat_answer.choices[0].message.parsed, Maybe)
    answer = await rig.openai().responses.parse(model=PRO, input="go", text_format=Maybe)
    assert isinstance(answer.output_parsed, Maybe)
    message = await rig.anthropic().messages.parse(
        model=PRO, max_tokens=900, messages=[said], output_format=Maybe
    )
    assert isinstance(message.parsed_output, Maybe)
    for sent in rig.sent:
        rows = sent["generationConfig"]["responseJsonSchema"]["properties"]["rows"]
        assert (rows["type"], rows["items"]["type"]) == (["array", "null"], ["string", "null"])
