from typing import Any

import pytest
from hypothesis import given
from openai.types.responses import ResponseOutputItem, Tool
from openai.types.responses.response import ToolChoice
from pydantic import TypeAdapter

from server.dialects.fields import Fields
from server.dialects.responses.tools import (
    KINDS,
    Called,
    ToolBox,
    read_tool_box,
    read_tool_choice,
    repeated_tools,
)
from server.errors import BadRequestError
from server.gemini.names import ToolNames
from server.gemini.types import Json
from tests.server.dialects.openai.support import ARGS, strict

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Json = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}
EXEC: Json = {
    "type": "custom",
    "name": "exec",
    "description": "Runs JavaScript",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}
AGENTS: Json = {
    "type": "namespace",
    "name": "agents_v1",
    "description": "Sub-agents",
    "tools": [{"type": "function", "name": "close_agent", "parameters": CITY}, EXEC],
}


def entries(*tools: Json) -> list[Fields]:
    return [Fields.of(tool, f"tools[{index}]") for index, tool in enumerate(tools)]


def box_of(*tools: Json) -> ToolBox:
    return read_tool_box(entries(*tools), ToolNames())


def known_as(called: Called) -> tuple[str, str, str | None]:
    return called.kind.item, called.name, called.namespace


def test_functions_and_freeform_tools_become_functions() -> None:
    box = box_of(WEATHER, EXEC)
    weather, run = box.tools.declarations.values()
    assert weather["name"] == "get_weather"
    assert weather["parametersJsonSchema"]["required"] == ["city"]
    assert run["parametersJsonSchema"]["required"] == ["input"]
    assert "lark grammar:\nstart: /.+/" in run["description"]
    assert known_as(box.called["exec"]) == ("custom_tool_call", "exec", None)


def test_tools_of_a_namespace_are_flattened_and_known_by_both_names() -> None:
    box = box_of(AGENTS)
    assert list(box.tools.declarations) == ["agents_v1__close_agent", "agents_v1__exec"]
    assert known_as(box.called["agents_v1__close_agent"]) == (
        *("function_call", "close_agent"),
        "agents_v1",
    )
    assert known_as(box.called["agents_v1__exec"])[0] == "custom_tool_call"


def test_a_missing_namespace_is_found_when_it_is_clear() -> None:
    box = box_of(AGENTS, WEATHER)
    assert box.declared_name("close_agent") == "agents_v1__close_agent"
    assert box.declared_name("close_agent", "other") == "other__close_agent"
    assert box.declared_name("get_weather") == "get_weather"
    assert box.declared_name("unheard_of") == "unheard_of"
    twice = box_of(AGENTS, {**AGENTS, "name": "agents_v2"})
    assert twice.declared_name("close_agent") == "close_agent"


@pytest.mark.parametrize("kind", ["web_search", "web_search_2025_08_26", "web_search_preview"])
def test_every_web_search_is_googles(kind: str) -> None:
    assert box_of({"type": kind, "search_context_size": "low"}).tools.built_in == {
        "googleSearch": {}
    }


def test_what_gemini_has_no_counterpart_for_is_named() -> None:
    body = Fields.of(
        {
            "tools": [
                {"type": "web_search", "external_web_access": False},
                {"type": "file_search", "vector_store_ids": ["vs_1"]},
                {"type": "namespace", "name": "n", "tools": [{"type": "mcp", "server_label": "x"}]},
                {"type": "tool_of_tomorrow"},
            ]
        }
    )
    box = read_tool_box(body.objects("tools"), ToolNames())
    assert box.tools.built_in == {}
    assert body.unread() == ("tools[]", "tools[].tools[]")


def test_deferred_tools_are_declared_at_once() -> None:
    box = box_of({**WEATHER, "defer_loading": True}, {"type": "tool_search"})
    assert list(box.tools.declarations) == ["get_weather"]


def test_a_search_that_the_client_runs_is_a_function() -> None:
    box = box_of({"type": "tool_search", "execution": "client", "parameters": CITY})
    assert "parametersJsonSchema" in box.tools.declarations["tool_search"]
    assert known_as(box.called["tool_search"])[0] == "tool_search_call"


@pytest.mark.parametrize("kind", ["local_shell", "shell", "apply_patch"])
def test_tools_that_openai_describes_itself_are_described_here(kind: str) -> None:
    declaration = box_of({"type": kind}).tools.declarations[kind]
    assert declaration["description"]
    assert declaration["parametersJsonSchema"]["required"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.item)
@given(args=ARGS)
def test_any_arguments_make_a_call_that_strict_sdks_read(kind: Any, args: Json) -> None:
    item = Called(kind, "tool", None).item("call_1", args)
    item |= {"id": "x_1", "status": "completed"}
    strict(ResponseOutputItem, item)
    assert isinstance(kind.read(Fields.of(item)), dict)


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("function_call", {"city": "Rome", "n": [1, None]}),
        ("custom_tool_call", {"input": "text(1+1)\n"}),
        ("shell_call", {"commands": ["ls", "pwd"], "timeout_ms": 5}),
        ("apply_patch_call", {"type": "update_file", "path": "a", "diff": "+b"}),
        ("apply_patch_call", {"type": "delete_file", "path": "a"}),
        ("tool_search_call", {"query": "mail"}),
    ],
)
def test_a_told_call_reads_back_as_the_same_arguments(tool: str, args: Json) -> None:
    kind = next(kind for kind in KINDS if kind.item == tool)
    assert kind.read(Fields.of(Called(kind, "t").item("call_1", args))) == args


def chosen(choice: object, *tools: Json) -> tuple[object, Json | None]:
    """(what the response repeats, Gemini's functionCallingConfig)."""
    names = ToolNames()
    box = read_tool_box(entries(*tools), names)
    repeated = read_tool_choice(Fields.of({"tool_choice": choice}), box, names)
    return repeated, box.tools.config


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "name": "get_weather"}, ["get_weather"]),
        ({"type": "custom", "name": "exec", "namespace": "agents_v1"}, ["agents_v1__exec"]),
        ({"type": "function", "name": "close_agent"}, ["agents_v1__close_agent"]),
        ({"type": "web_search"}, {"mode": "AUTO"}),
        ({"type": "shell"}, ["shell"]),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "close_agent"}, {"type": "mcp"}],
            },
            ["agents_v1__close_agent"],
        ),
    ],
)
def test_a_choice_names_declared_functions(choice: object, config: object) -> None:
    _, got = chosen(choice, WEATHER, AGENTS, {"type": "shell"})
    expected = config
    if isinstance(config, list):
        expected = {"mode": "ANY", "allowedFunctionNames": config}
    assert got == expected


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "mcp", "server_label": "x"},
        {"type": "file_search"},
        {"type": "function", "name": "unknown"},
        "sometimes",
        7,
    ],
)
def test_forcing_what_cannot_be_had_is_refused(choice: object) -> None:
    with pytest.raises(BadRequestError):
        chosen(choice, WEATHER)


def test_the_response_repeats_tools_and_choice_as_strict_sdks_know_them() -> None:
    odd = {**WEATHER, "encrypted": True, "strict": "yes"}
    hosted = [{"type": kind} for kind in ("local_shell", "shell", "apply_patch", "tool_search")]
    tools = repeated_tools(
        entries(odd, EXEC, AGENTS, {"type": "web_search", "x": 1}, {"type": "mystery"}, *hosted)
    )
    assert len(tools) == 8
    assert "encrypted" not in tools[0]
    for tool in tools:
        strict(Tool, tool)
    for choice in ("none", {"type": "custom", "name": "exec", "namespace": "agents_v1"}):
        repeated, _ = chosen(choice, AGENTS)
        TypeAdapter(ToolChoice).validate_python(repeated)
