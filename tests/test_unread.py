"""What no parser reads is named: unknown fields anywhere, in every dialect, told once each."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.dialects import DIALECTS
from server.dialects.base import Generate, Params
from server.edge.request import listed
from server.limits import DROPPED_CHARS, HEADER_CHARS
from server.storage.usage import kept_names
from tests.rig import running

Json = dict[str, Any]
PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}

CHAT: Json = {
    "model": "gemini-2.5-flash",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "be kind"}]},
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {
            "role": "assistant",
            "content": None,
            "images": [{"type": "image_url", "image_url": {"url": PNG}}],
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": PNG}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}],
        },
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "stream_options": {"include_usage": True},
    "reasoning": {"effort": "low"},
    "extra_body": {"google": {"thinking_config": {"include_thoughts": True}}},
}
RESPONSES: Json = {
    "model": "gemini-2.5-flash",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "t"},
        {"type": "custom_tool_call", "call_id": "d", "name": "free", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "d", "output": "t"},
        {"type": "mcp_call", "id": "m", "name": "far", "arguments": "{}", "output": "t"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": PNG}]},
    ],
    "tools": [
        {"type": "function", "name": "look", "parameters": SCHEMA},
        {"type": "custom", "name": "free", "format": {"type": "text"}},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "inner"}]},
        {"type": "web_search"},
    ],
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}},
}
MESSAGES: Json = {
    "model": "gemini-2.5-flash",
    "max_tokens": 2000,
    "system": [{"type": "text", "text": "be kind"}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "c", "name": "look", "input": {"free": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c",
                    "content": [
                        {"type": "text", "text": "t"},
                        {
                            "type": "image",
                            "source": {
                                "type": "base64",
                                "media_type": "image/png",
                                "data": "iVBORw0KGgo=",
                            },
                        },
                    ],
                },
                {"type": "document", "source": {"type": "text", "data": "d"}, "title": "T"},
            ],
        },
    ],
    "tools": [
        {"name": "look", "input_schema": SCHEMA},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "tool", "name": "look"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
}
COMPLETIONS: Json = {
    "model": "gemini-2.5-flash",
    "prompt": "a",
    "stream_options": {"include_usage": True},
}
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/v1/completions": COMPLETIONS,
}
TAKEN_WHOLE = ("parameters", "schema", "input_schema", "input", "properties")
"""What a user's own words and schemas hold is passed on, or narrowed, as a whole."""
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs"])
NAMES = st.text(LETTERS, min_size=3, max_size=12).map(lambda name: f"x_{name}")
"""Fields of tomorrow."""


def places(value: object, path: str = "") -> Iterator[tuple[Json, str]]:
    """Every object that a parser looks into, with its path."""
    if isinstance(value, dict):
        yield value, path
        for name, inner in value.items():
            if name not in TAKEN_WHOLE or (name == "input" and isinstance(inner, list)):
                yield from places(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from places(item, f"{path}[]")


def units(character: str) -> str:
    """Its UTF-16 code units, as JSON escapes them."""
    data = character.encode("utf-16-be").hex()
    return "".join(f"\\u{data[i : i + 4]}" for i in range(0, len(data), 4))


def dropped(path: str, body: Json) -> tuple[str, ...]:
    operation = next(route.operation for d in DIALECTS for route in d.routes if route.path == path)
    assert isinstance(operation, Generate)
    return operation.parse(body, Params()).dropped


@pytest.mark.parametrize("path", BODIES)
def test_what_is_known_is_not_named(path: str) -> None:
    assert dropped(path, BODIES[path]) == ()


@settings(max_examples=40)
@pytest.mark.parametrize("path", BODIES)
@given(st.data())
def test_every_unknown_field_is_named_once(path: str, data: st.DataObject) -> None:
    body = copy.deepcopy(BODIES[path])
    found = list(places(body))
    chosen = data.draw(st.lists(st.sampled_from(range(len(found))), min_size=1, max_size=6))
    expected: set[str] = set()
    for index in chosen:
        holder, at = found[index]
        name = data.draw(NAMES)
        holder[name] = data.draw(st.sampled_from([1, "x", [{"a": 1}], {"b": {"c": 2}}]))
        plain = "".join(c if " " <= c <= "~" else units(c) for c in name)
        expected.add(f"{at}.{plain}" if at else plain)
    names = dropped(path, body)
    assert set(names) == expected
    assert len(names) == len(expected)


def test_null_is_absent_and_many_alike_are_one() -> None:
    body = copy.deepcopy(MESSAGES)
    for message in body["messages"]:
        message |= {"later": None, "odd": 1}
    assert dropped("/v1/messages", body) == ("messages[].odd",)


@given(st.lists(st.text("abcdefgh.[]", min_size=1, max_size=300), max_size=30, unique=True))
def test_a_header_holds_whole_names_and_counts_the_others(names: list[str]) -> None:
    text = listed(names)
    assert len(text) <= HEADER_CHARS
    told = text.split(", ") if text else []
    if len(", ".join(names)) <= 1000:
        assert told == names
    else:
        assert told[:-1] == names[: len(told) - 1]
        assert told[-1] == f"+{len(names) - len(told) + 1}"


def test_a_row_keeps_whole_names_and_counts_the_others() -> None:
    names = [f"{number:04}{'x' * 996}" for number in range(100)]
    kept = json.loads(kept_names(names))
    assert kept[:-1] == names[: len(kept) - 1]
    assert kept[-1] == f"+{100 - len(kept) + 1}"
    assert sum(map(len, kept)) <= DROPPED_CHARS


async def test_the_row_of_a_request_holds_all_names(tmp_path: Path) -> None:
    """The header cannot; the request inspector shows the row's."""
    unknown = {f"field_of_tomorrow_{number:03}": 1 for number in range(200)}
    async with running(tmp_path) as rig:
        rig.gateway.pipeline.inspector.switch(on=True)
        body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
        answer = await rig.http.post("/v1/chat/completions", json={**body, **unknown})
        assert answer.status_code == 200
        assert answer.headers["x-proxy-dropped"].endswith(", +157")
        (row,) = (await rig.usage())["recent_requests"]
        assert row["dropped"] == list(unknown)
        page = await rig.http.get("/inspect")
        assert "field_of_tomorrow_199" in page.text
