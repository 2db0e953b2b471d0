"""Tool entries and tool_choice."""

from typing import Any

import pytest

from server.dialects.anthropic.tools import PLACEHOLDER, ToolChange, Tools, read_tools
from server.dialects.fields import Fields
from server.errors import BadRequestError
from server.gemini.names import ToolNames
from server.gemini.types import Json

CITY: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tool(name: str, **more: object) -> Json:
    return {"name": name, "description": f"does {name}", "input_schema": CITY, **more}


def deferred(name: str) -> Json:
    return tool(name, defer_loading=True)


def read(
    *tools: object,
    choice: object = None,
    loaded: tuple[str, ...] = (),
    changes: tuple[ToolChange, ...] = (),
    names: ToolNames | None = None,
) -> Tools:
    fields = Fields({"tools": list(tools), "tool_choice": choice}, notation="dots")
    return read_tools(fields, loaded, changes, names or ToolNames())


def functions(tools: Tools) -> list[str]:
    return [
        declaration["name"]
        for entry in tools.entries
        for declaration in entry.get("functionDeclarations", ())
    ]


def mode(tools: Tools) -> Any:
    return tools.config and tools.config["functionCallingConfig"]


def test_a_custom_tool_is_a_function() -> None:
    entry = tool(
        "get_weather", strict=True, cache_control={"type": "ephemeral"}, input_examples=[{}]
    )
    assert read(entry).entries == [
        {
            "functionDeclarations": [
                {
                    "name": "get_weather",
                    "description": "does get_weather",
                    "parametersJsonSchema": CITY,
                }
            ]
        }
    ]


def test_a_tool_without_properties_sends_no_schema() -> None:
    [entry] = read({"name": "now", "input_schema": {"type": "object"}}).entries
    assert entry["functionDeclarations"] == [{"name": "now", "description": ""}]


def test_no_tools_no_entries() -> None:
    assert read() == Tools()


def test_a_name_gemini_refuses_is_sent_cleaned() -> None:
    names = ToolNames()
    name = "mcp__srv.with/odd name__" + "x" * 60
    [sent] = functions(read(tool(name), names=names))
    assert len(sent) == 64
    assert names.client(sent) == name


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("web_search_20250305", "googleSearch"),
        ("web_search_20260318", "googleSearch"),
        ("web_fetch_20250910", "urlContext"),
        ("code_execution_20250825", "codeExecution"),
    ],
)
def test_server_tools_become_built_in_ones(kind: str, builtin: str) -> None:
    tools = read({"type": kind, "name": "x", "max_uses": 8}, tool("f"))
    assert tools.entries[1] == {builtin: {}}
    assert not tools.search_only


def test_web_search_alone_is_search_mode() -> None:
    tools = read({"type": "web_search_20250305", "name": "web_search"}, choice={"type": "auto"})
    assert (tools.entries, tools.search_only, tools.config) == ([{"googleSearch": {}}], True, None)


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [
        ("bash_20250124", "bash", {"command", "restart"}),
        ("text_editor_20250728", "str_replace_based_edit_tool", {"command", "path", "old_str"}),
        ("text_editor_20241022", "str_replace_editor", {"command", "view_range"}),
        ("memory_20250818", "memory", {"command", "old_path", "new_path"}),
        ("computer_20250124", "computer", {"action", "coordinate"}),
    ],
)
def test_anthropics_client_tools_bring_their_schema(
    kind: str, name: str, arguments: set[str]
) -> None:
    entry: Json = {"type": kind, "name": name, "display_width_px": 800, "display_height_px": 600}
    [declaration] = read(entry).entries[0]["functionDeclarations"]
    assert declaration["name"] == name
    assert arguments <= declaration["parametersJsonSchema"]["properties"].keys()


@pytest.mark.parametrize(
    ("kind", "undo"), [("text_editor_20250124", True), ("text_editor_20250728", False)]
)
def test_undo_exists_in_old_text_editors_only(kind: str, undo: bool) -> None:
    [declaration] = read({"type": kind, "name": "e"}).entries[0]["functionDeclarations"]
    commands = declaration["parametersJsonSchema"]["properties"]["command"]["enum"]
    assert ("undo_edit" in commands) is undo


def test_the_screen_size_is_told() -> None:
    entry: Json = {"type": "computer_20250124", "name": "computer"}
    entry |= {"display_width_px": 800, "display_height_px": 600}
    [declaration] = read(entry).entries[0]["functionDeclarations"]
    assert "800 x 600" in declaration["description"]


def test_entries_without_a_counterpart_are_named_as_dropped() -> None:
    entries = [
        tool("f"),
        {"type": "mcp_toolset", "mcp_server_name": "s"},
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
        {"type": "computer_toolset_20260801", "name": "computer"},
    ]
    body = Fields.of({"tools": entries}, notation="dots")
    assert functions(read_tools(body, (), (), ToolNames())) == ["f"]
    assert body.unread() == ("tools[]",)


def test_an_unknown_type_with_a_schema_is_a_function_all_the_same() -> None:
    assert functions(read(tool("f", type="gadget_20300101"))) == ["f"]


def test_deferred_tools_wait_until_they_were_found() -> None:
    tools = [tool("ToolSearch"), deferred("WebFetch"), deferred("WebSearch"), deferred(PLACEHOLDER)]
    assert functions(read(*tools)) == ["ToolSearch"]
    assert functions(read(*tools, loaded=("WebSearch", PLACEHOLDER))) == ["ToolSearch", "WebSearch"]


@pytest.mark.parametrize(
    "search", [[], [{"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}]]
)
def test_deferred_tools_are_all_there_when_the_model_cannot_search(search: list[Json]) -> None:
    """Anthropic's own tool search runs on its servers, so here nothing could load them."""
    assert functions(read(*search, deferred("A"), deferred(PLACEHOLDER))) == ["A"]


def test_a_forced_tool_is_loaded() -> None:
    tools = read(tool("ToolSearch"), deferred("A"), choice={"type": "tool", "name": "A"})
    assert functions(tools) == ["ToolSearch", "A"]


def test_changes_apply_in_order() -> None:
    inline = Fields(tool("inline"), "messages.0.content.0.tool.definition", "dots")
    changes = (
        ToolChange("B", added=True),
        ToolChange("A", added=False),
        ToolChange("inline", added=True, definition=inline),
        ToolChange("unheard-of", added=True),
        ToolChange("ToolSearch", added=False),
        ToolChange("ToolSearch", added=True),
    )
    tools = read(tool("ToolSearch"), tool("A"), deferred("B"), changes=changes)
    assert functions(tools) == ["B", "inline", "ToolSearch"]


def test_the_same_name_twice_is_declared_once() -> None:
    assert functions(read(tool("A"), tool("B"), tool("A"))) == ["A", "B"]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        ({"type": "auto"}, None),
        ({"type": "something_new"}, None),
        ("auto", None),
        ("any", {"mode": "ANY"}),
        ("none", {"mode": "NONE"}),
        ({"type": "any"}, {"mode": "ANY"}),
        ({"type": "none"}, {"mode": "NONE"}),
        ({"type": "tool", "name": "f g"}, {"mode": "ANY", "allowedFunctionNames": ["f_g"]}),
    ],
)
def test_tool_choice(choice: object, config: Json | None) -> None:
    assert mode(read(tool("f g"), choice=choice)) == config


def test_a_forced_server_tool_needs_no_config() -> None:
    choice = {"type": "tool", "name": "web_search"}
    tools = read({"type": "web_search_20250305", "name": "web_search"}, tool("f"), choice=choice)
    assert tools.config is None


@pytest.mark.parametrize("kind", ["auto", "any"])
def test_one_tool_at_a_time(kind: str) -> None:
    choice = {"type": kind, "disable_parallel_tool_use": True}
    assert read(tool("f"), choice=choice).parallel is False
    assert read(tool("f"), choice={"type": kind}).parallel is True


@pytest.mark.parametrize(
    ("tools", "choice", "message"),
    [
        (["Bash"], None, "tools.0: Input should be a valid object"),
        ([{"input_schema": CITY}], None, "tools.0.name: Field required"),
        ([tool("f"), {"name": "g"}], None, "tools.1.input_schema: Field required"),
        ([tool("f", description=1)], None, "tools.0.description: Input should be a valid string"),
        ([tool("f")], {"type": "tool", "name": "g"}, "Tool 'g' not found in provided tools"),
        ([tool("f")], {"type": "tool"}, "tool_choice.name: Field required"),
        ([tool("f")], {}, "tool_choice.type: Field required"),
        ([tool("f")], 1, "tool_choice: Input should be a valid object"),
    ],
)
def test_what_cannot_be_understood_is_named(
    tools: list[object], choice: object, message: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(*tools, choice=choice)
    assert caught.value.message == message
