import asyncio
import json
from pathlib import Path
from typing import Any, Literal

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from server.dialects.base import Params, Record
from server.dialects.responses.dialect import (
    encode_input_items,
    encode_kept,
    keep_response,
    parse_response,
    told_in_stream,
)
from server.dialects.responses.stream import Notes, encode_response
from server.errors import BadRequestError, ContextLengthError, OverloadedError, RateLimitError
from server.gemini.events import Finish, TextDelta
from server.gemini.signatures import BYPASS
from server.gemini.types import Call, Json
from tests.google import failures
from tests.rig import Rig, running
from tests.server.dialects.openai.support import JSON_VALUES, data_of, refused

CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}
LITE: Any = {
    "type": "additional_tools",
    "role": "developer",
    "tools": [
        {
            "type": "namespace",
            "name": "functions",
            "description": "",
            "tools": [
                {
                    "type": "custom",
                    "name": "exec",
                    "description": "Runs JavaScript",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
                }
            ],
        }
    ],
}
CODEX = {"user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64)"}


def parsed(body: Json, **params: Any) -> Call:
    return parse_response({"model": "gemini-2.5-pro", **body}, Params(**params))


def test_instructions_stand_before_developer_messages() -> None:
    call = parsed({"instructions": "First", "input": [{"role": "developer", "content": "Second"}]})
    assert call.request["systemInstruction"]["parts"] == [{"text": "First"}, {"text": "Second"}]
    assert parsed({"instructions": "Only", "input": "Hi"}).request["systemInstruction"]


def test_generation_fields_and_the_answers_format() -> None:
    call = parsed(
        {
            "input": "Hi",
            "max_output_tokens": 4000,
            "temperature": 0.5,
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"format": {"type": "json_schema", "name": "c", "schema": CITY}},
            "parallel_tool_calls": False,
            "prompt_cache_key": "thread",
        }
    )
    config = call.request["generationConfig"]
    assert (config["maxOutputTokens"], config["temperature"]) == (4000, 0.5)
    assert config["responseJsonSchema"]["required"] == ["city"]
    assert (call.thinking.level, call.thinking.include) == ("low", True)
    assert not call.parallel_tool_calls
    assert call.session == "thread"
    hidden = parsed({"input": "Hi", "reasoning": {"effort": "high", "summary": "none"}})
    assert not hidden.thinking.include


def test_what_is_not_honoured_is_named_and_what_is_harmless_is_not() -> None:
    call = parsed(
        {
            "input": "Hi",
            "n": 3,
            "include": ["reasoning.encrypted_content"],
            "text": {"verbosity": "low", "shape": "round"},
            "client_metadata": {"x": "y"},
            "metadata": {"a": "b"},
            "truncation": "auto",
            "field_of_tomorrow": 1,
            "tools": [{"type": "file_search"}],
        }
    )
    assert call.choices == 1
    assert set(call.dropped) == {
        *("n", "text.verbosity", "text.shape", "field_of_tomorrow", "tools[]"),
    }


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": "x", "model": ""}, "model", "missing_required_parameter"),
        ({}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "missing_required_parameter"),
        ({"input": 5}, "input", None),
        ({"input": ["x"]}, "input[0]", None),
        ({"input": "x", "conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"input": "x", "prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"input": "x", "background": True}, "background", "unsupported_parameter"),
        (
            {"input": "x", "previous_response_id": "resp_gone"},
            *("previous_response_id", "previous_response_not_found"),
        ),
        ({"input": [{"type": "item_reference", "id": "msg_gone"}]}, "input[0].id", "invalid_value"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens", None),
        ({"input": "x", "text": {"format": {"type": "xml"}}}, "text.format.type", None),
        ({"input": "x", "tools": [{"type": "function"}]}, "tools[0].name", None),
        (
            {"input": "x", "tool_choice": {"type": "file_search"}},
            *("tool_choice", "unsupported_parameter"),
        ),
    ],
)
def test_bad_requests_name_the_field(body: Json, param: str, code: str | None) -> None:
    got_param, got_code = refused(parse_response, {"model": "gemini-2.5-pro", **body})
    assert got_param == param
    assert code in (None, got_code)


def kept(call: Call, text: str = "Hello") -> Record:
    encode_response(call, [TextDelta(text), Finish("STOP")])
    record = keep_response(call)
    assert record is not None
    return record


def test_a_conversation_goes_on_from_what_was_kept_without_its_instructions() -> None:
    first = kept(parsed({"input": "Hi", "instructions": "Be brief"}))
    more = parsed(
        {"input": "And?", "previous_response_id": first.id}, recall=lambda name: first.body
    )
    told = [(c["role"], c["parts"][0]["text"]) for c in more.request["contents"]]
    assert told == [("user", "Hi"), ("model", "Hello"), ("user", "And?")]
    assert "systemInstruction" not in more.request
    assert len(kept(more).body["input"]) == 3


def test_a_reference_stands_for_the_item_it_names() -> None:
    first = kept(parsed({"input": "Hi"}))
    message = first.body["response"]["output"][0]["id"]
    assert message in first.items
    more = parsed(
        {"input": [{"id": message}, {"role": "user", "content": "Why?"}]},
        recall=lambda name: first.body,
    )
    assert more.request["contents"][0] == {"role": "model", "parts": [{"text": "Hello"}]}
    assert kept(more).body["input"][0]["content"][0]["text"] == "Hello"


def test_an_items_id_is_no_response_id() -> None:
    first = kept(parsed({"input": "Hi"}))
    with pytest.raises(BadRequestError):
        parsed({"input": "x", "previous_response_id": "msg_1"}, recall=lambda name: first.body)


def test_nothing_is_kept_of_what_was_declined_or_did_not_end() -> None:
    declined = parsed({"input": "Hi", "store": False})
    encode_response(declined, [Finish("STOP")])
    assert keep_response(declined) is None
    assert keep_response(parsed({"input": "Hi"})) is None


def test_input_items_come_in_pages_the_newest_first() -> None:
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    record = kept(parsed({"input": items})).body

    def page(**query: str) -> tuple[list[str], bool]:
        listed = encode_input_items(record, Params(query=query))
        return [item["content"][0]["text"] for item in listed["data"]], listed["has_more"]

    assert page() == (["4", "3", "2", "1", "0"], False)
    assert page(limit="2", order="asc") == (["0", "1"], True)
    after = str(record["input"][1]["id"])
    assert page(limit="2", order="asc", after=after) == (["2", "3"], True)
    assert page(after=str(record["input"][0]["id"])) == ([], False)
    for query in ({"limit": "0"}, {"limit": "many"}, {"after": "msg_gone"}):
        with pytest.raises(BadRequestError):
            encode_input_items(record, Params(query=query))
    with pytest.raises(BadRequestError):
        encode_kept(record, Params(query={"stream": "true"}))


def test_only_codex_is_told_of_hopeless_failures_in_the_stream() -> None:
    quota = RateLimitError("m", source="quota", exhausted=True)
    codex = parsed({"input": "Hi"}, headers=CODEX)
    other = parsed({"input": "Hi"}, headers={"user-agent": "OpenAI/Python 3.54.0"})
    assert told_in_stream(codex, quota)
    assert told_in_stream(codex, ContextLengthError("m"))
    assert not told_in_stream(codex, RateLimitError("m", source="quota"))
    assert not told_in_stream(codex, OverloadedError("m"))
    assert not told_in_stream(other, quota)


def anything(*names: str) -> dict[Any, st.SearchStrategy[Any]]:
    return dict.fromkeys(names, JSON_VALUES)


BODIES = st.fixed_dictionaries(
    {"model": st.just("m")},
    optional=anything(
        *("input", "instructions", "tools", "tool_choice", "text", "reasoning", "include"),
        *("metadata", "previous_response_id", "store", "parallel_tool_calls", "stream"),
    ),
)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["message", "function_call", "reasoning", "shell_call", "x"])},
        optional=anything(
            *("role", "content", "call_id", "name", "arguments", "output", "id", "tools"),
        ),
    ),
    max_size=3,
)


@given(BODIES | ITEMS.map(lambda items: {"model": "m", "input": items}) | JSON_VALUES)
def test_any_json_is_a_call_or_a_bad_request(body: Any) -> None:
    try:
        call = parse_response(body, Params())
    except BadRequestError:
        return
    assert isinstance(call.options, Notes)
    json.dumps(call.request)
    encode_response(call, [Finish("STOP")])
    json.dumps(getattr(keep_response(call), "body", None))


# The whole path, judged by the SDK


def strict(rig: Rig) -> openai.AsyncOpenAI:
    return rig.openai(_strict_response_validation=True)


async def test_text_streamed_and_in_one_piece(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        client = strict(rig)
        whole = await client.responses.create(model="gpt-5", input="Hello", instructions="Be brief")
        assert whole.output_text == "You said: Hello"
        assert whole.model == "gpt-5"
        async with client.responses.stream(model="gemini-2.5-pro", input="Hello") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert kinds[:2] == ["response.created", "response.in_progress"]
        assert kinds[-1] == "response.completed"
        assert final.output_text == whole.output_text
        recent = (await rig.usage())["recent_requests"][0]
        assert recent["dialect"] == "openai-responses"
        assert final.usage is not None
        assert final.usage.output_tokens == recent["output_tokens"]


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-flash-preview"])
async def test_reasoning_items_carry_signatures_through_a_tool_conversation(
    tmp_path: Path, model: str
) -> None:
    async with running(tmp_path) as rig:
        client = strict(rig)
        history: list[Any] = [{"role": "user", "content": "Weather in both Paris and Rome?"}]
        first = await client.responses.create(
            model=model, input=history, tools=[WEATHER], store=False
        )
        calls = [item for item in first.output if item.type == "function_call"]
        assert first.output[0].type == "reasoning"
        assert len(calls) == 2
        history += first.output
        for call in reversed(calls):
            result = {"type": "function_call_output", "call_id": call.call_id, "output": "22 C"}
            history.append(result)
        rig.gateway.signatures.wipe()
        second = await client.responses.create(
            model=model, input=history, tools=[WEATHER], store=False
        )
        assert "22 C" in second.output_text
        _, asked, answered = rig.sent[-1]["contents"]
        assert asked["parts"][0]["thoughtSignature"] != BYPASS
        assert [len(asked["parts"]), len(answered["parts"])] == [2, 2]


async def test_one_call_at_a_time_when_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await strict(rig).responses.create(
            model="gemini-2.5-pro",
            input="Weather in both Paris and Rome?",
            tools=[WEATHER],
            parallel_tool_calls=False,
        )
        assert [item.type for item in answer.output].count("function_call") == 1


async def test_a_freeform_tool_of_codex_lite(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        client = strict(rig)
        history: list[Any] = [LITE, {"role": "user", "content": "Run it"}]
        first = await client.responses.create(model="gpt-5", input=history)
        call = first.output[-1]
        assert call.type == "custom_tool_call"
        assert (call.namespace, call.name) == ("functions", "exec")
        output = [{"type": "input_text", "text": "done: 2"}]
        result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": output}
        history += [*first.output, result]
        second = await client.responses.create(model="gpt-5", input=history)
        assert "done: 2" in second.output_text
        declared = rig.sent[0]["tools"][0]["functionDeclarations"][0]["name"]
        sent = rig.sent[-1]["contents"][1]["parts"][0]["functionCall"]["name"]
        assert sent == declared == "functions__exec"


class City(BaseModel):
    name: str
    sunny: bool


async def test_structured_output_with_and_without_tools(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        parse = strict(rig).responses.parse
        answer = await parse(model="gemini-2.5-flash", input="A city", text_format=City)
        assert isinstance(answer.output_parsed, City)
        await parse(model="gemini-2.5-pro", input="A city", text_format=City, tools=[WEATHER])
        assert "responseMimeType" not in rig.sent[-1].get("generationConfig", {})
        assert "JSON Schema" in rig.sent[-1]["systemInstruction"]["parts"][-1]["text"]


async def test_a_search_brings_citations(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await strict(rig).responses.create(
            model="gemini-2.5-pro", input="Latest news?", tools=[{"type": "web_search"}]
        )
        search = answer.output[-1]
        assert search.type == "web_search_call"
        message = next(item for item in answer.output if item.type == "message")
        part = message.content[0]
        assert part.type == "output_text"
        assert {note.type for note in part.annotations} == {"url_citation"}


async def test_a_conversation_kept_here_and_what_can_be_asked_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        responses = strict(rig).responses
        first = await responses.create(model="gemini-2.5-pro", input="One", instructions="Brief")
        second = await responses.create(
            model="gemini-2.5-pro", input="Two", previous_response_id=first.id
        )
        assert [c["parts"][0]["text"] for c in rig.sent[-1]["contents"]] == [
            *("One", "You said: One", "Two"),
        ]
        assert "systemInstruction" not in rig.sent[-1]
        assert await responses.retrieve(second.id) == second
        listed = [item async for item in responses.input_items.list(second.id, order="asc")]
        assert len(listed) == len(first.output) + 2
        await responses.delete(first.id)
        with pytest.raises(openai.NotFoundError):
            await responses.retrieve(first.id)
        with pytest.raises(openai.BadRequestError) as gone:
            await responses.create(model="m", input="Three", previous_response_id=first.id)
        assert gone.value.code == "previous_response_not_found"
        await rig.gateway.wipe()
        with pytest.raises(openai.NotFoundError):
            await responses.delete(second.id)


@pytest.mark.parametrize("mode", ["disk", "memory", "off"])
async def test_the_store_over_a_restart(
    tmp_path: Path, mode: Literal["disk", "memory", "off"]
) -> None:
    async with running(tmp_path, response_store=mode) as rig:
        stream = await strict(rig).responses.create(
            model="gemini-2.5-pro", input="One", stream=True
        )
        events = [event async for event in stream]
        assert events[-1].type == "response.completed"
        name = events[-1].response.id
        if mode != "off":
            assert (await rig.http.get(f"/v1/responses/{name}")).status_code == 200
    async with running(tmp_path, response_store=mode) as rig:
        body = {"model": "gemini-2.5-pro", "input": "Two", "previous_response_id": name}
        answer = await rig.http.post("/v1/responses", json=body)
        assert answer.status_code == (200 if mode == "disk" else 400)


async def test_counting_and_addresses(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        count = await strict(rig).responses.input_tokens.count(model="gpt-5", input="Hello there")
        assert count.input_tokens > 0
        body = {"model": "gpt-5", "input": "Hi"}
        assert (await rig.http.post("/responses", json=body)).status_code == 200
        for path in ("/v1/responses/compact", "/v1/responses/resp_1/cancel"):
            assert (await rig.http.post(path, json={})).status_code == 404
        assert (await rig.http.get("/v1/responses")).status_code == 405
        assert (await rig.http.get("/v1/responses/resp_1/input_items")).status_code == 404


async def read_stream(rig: Rig, **headers: str) -> tuple[httpx.Response, list[Json]]:
    body = {"model": "gemini-2.5-pro", "input": "Hi", "stream": True, "store": False}
    answer = await rig.http.post("/v1/responses", json=body, headers=headers)
    is_stream = answer.headers["content-type"].startswith("text/event-stream")
    return answer, [json.loads(data) for data in data_of(answer.content)] if is_stream else []


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (failures.quota_exhausted(), 429, "insufficient_quota"),
        (failures.input_too_long(), 400, "context_length_exceeded"),
    ],
)
async def test_hopeless_failures_end_codex_after_one_request(
    tmp_path: Path, failure: Any, status: int, code: str
) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failure)
        plain, _ = await read_stream(rig)
        assert (plain.status_code, plain.json()["error"]["code"]) == (status, code)
        rig.google.fail(failure)
        codex, events = await read_stream(rig, **CODEX)
        assert codex.status_code == 200
        assert [event["type"] for event in events] == [
            *("response.created", "response.in_progress", "response.failed"),
        ]
        assert events[-1]["response"]["error"]["code"] == code
        assert (await rig.usage())["recent_requests"][0]["success"] is False


async def test_a_failure_in_mid_stream_is_the_one_terminal_event(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(failures.error_event())
        answer, events = await read_stream(rig)
        assert answer.status_code == 200
        assert events[-1]["type"] == "response.failed"
        assert [event["type"] for event in events].count("response.completed") == 0


async def test_a_waiting_stream_says_that_it_is_in_progress(tmp_path: Path) -> None:
    async with running(tmp_path, wait_mode=True, keep_alive_s=0.1) as rig:
        rig.google.fail(failures.rate_limited(delay_s=0.5))
        _, events = await read_stream(rig)
        kinds = [event["type"] for event in events]
        assert kinds[0] == "response.created"
        assert kinds.count("response.in_progress") >= 3
        assert kinds[-1] == "response.completed"


async def test_a_websocket_is_refused_with_426(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(rig.url).port)
        lines = (
            "GET /v1/responses HTTP/1.1",
            "Host: 127.0.0.1",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        writer.write("\r\n".join((*lines, "", "")).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        writer.close()
        assert head.startswith("http/1.1 426")
        assert body["error"]["message"]
        assert (await rig.http.get("/health")).status_code == 200
