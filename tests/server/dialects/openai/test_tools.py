import pytest

from server.dialects.fields import Fields
from server.dialects.openai.tools import read_choice, read_functions, read_tools
from server.errors import BadRequestError
from server.gemini.names import ToolNames
from server.gemini.types import Call, Json

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}


def function(name: str, parameters: object = None, **more: object) -> Json:
    inner = {"name": name, "description": f"does {name}", "parameters": parameters, **more}
    return {"type": "function", "function": inner}


def read(tools: list[Json], choice: object = None) -> Call:
    call = Call(dialect="openai-chat", model="m", request={})
    fields = Fields.of({"tools": tools, "tool_choice": choice})
    found = read_tools(fields.objects("tools"), call.tool_names)
    read_choice(fields, "tool_choice", found, call.tool_names)
    found.put_into(call)
    return call


def declarations(tools: list[Json], choice: object = None) -> list[Json]:
    found: list[Json] = read(tools, choice).request["tools"][0]["functionDeclarations"]
    return found


def config(choice: object, *names: str) -> Json | None:
    request = read([function(name, CITY) for name in names], choice).request
    return request.get("toolConfig", {}).get("functionCallingConfig")


def test_a_function_becomes_a_declaration_with_a_clean_schema() -> None:
    (declared,) = declarations([function("look", {**CITY, "$schema": "x"}, strict=True)])
    assert declared == {
        "name": "look",
        "description": "does look",
        "parametersJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }


def test_the_flat_form_of_the_responses_api_is_read_too() -> None:
    (declared,) = declarations([{"type": "function", "name": "look", "parameters": CITY}])
    assert (declared["name"], declared["parametersJsonSchema"]["type"]) == ("look", "object")


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object", "properties": {}}])
def test_a_tool_without_properties_sends_no_schema(parameters: object) -> None:
    (declared,) = declarations([function("look", parameters)])
    assert "parametersJsonSchema" not in declared


def test_of_two_tools_with_one_name_the_first_counts() -> None:
    found = declarations([function("look", CITY), function("go"), function("look")])
    assert [tool["name"] for tool in found] == ["look", "go"]
    assert "parametersJsonSchema" in found[0]


def test_long_names_that_collide_after_cutting_stay_apart() -> None:
    names = ["x" * 70 + "a", "x" * 70 + "b", "a.b", "a/b"]
    call = read([function(name) for name in names])
    sent = [tool["name"] for tool in call.request["tools"][0]["functionDeclarations"]]
    assert len(set(sent)) == 4
    assert [call.tool_names.client(name) for name in sent] == names


def test_a_huge_description_is_cut() -> None:
    (declared,) = declarations([function("look", description="x" * 20_000)])
    assert len(declared["description"]) == 10_000


def test_a_freeform_tool_becomes_a_function_of_one_text() -> None:
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a+/"}}
    inner = {"name": "exec", "description": "runs", "format": form}
    (declared,) = declarations([{"type": "custom", "custom": inner}])
    assert declared["parametersJsonSchema"]["required"] == ["input"]
    assert declared["description"] == ("runs\n`input` must follow this lark grammar:\nstart: /a+/")


@pytest.mark.parametrize(
    ("entry", "built_in"),
    [
        ({"google_search": {}}, "googleSearch"),
        ({"googleSearch": {}}, "googleSearch"),
        ({"type": "google_search"}, "googleSearch"),
        ({"type": "web_search_preview"}, "googleSearch"),
        ({"code_execution": {}}, "codeExecution"),
        ({"url_context": {}}, "urlContext"),
    ],
)
def test_geminis_own_tools_are_entries_of_their_own(entry: Json, built_in: str) -> None:
    assert read([entry]).request["tools"] == [{built_in: {}}]
    assert read([entry, function("look")]).request["tools"][1] == {built_in: {}}


def test_a_tool_without_counterpart_is_named_as_dropped() -> None:
    body = Fields.of({"tools": [function("look"), {"type": "computer_use"}]})
    read_tools(body.objects("tools"), ToolNames())
    assert body.unread() == ("tools[]",)


def test_no_tools_leave_no_trace() -> None:
    assert read([], "required").request == {}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("any", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "a"}},
            {"mode": "ANY", "allowedFunctionNames": ["a"]},
        ),
        ({"type": "function", "name": "a"}, {"mode": "ANY", "allowedFunctionNames": ["a"]}),
        ({"name": "a"}, {"mode": "ANY", "allowedFunctionNames": ["a"]}),
        (
            {"type": "custom", "custom": {"name": "a"}},
            {"mode": "ANY", "allowedFunctionNames": ["a"]},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [function("a"), function("b")]},
            },
            {"mode": "ANY", "allowedFunctionNames": ["a", "b"]},
        ),
        ({"type": "web_search_preview"}, {"mode": "AUTO"}),
    ],
)
def test_a_tool_choice_becomes_a_calling_config(choice: object, wanted: Json | None) -> None:
    assert config(choice, "a", "b", "c") == wanted


def test_a_forced_tool_goes_by_the_name_it_is_sent_under() -> None:
    call = read([function("a.b")], {"type": "function", "function": {"name": "a.b"}})
    (declared,) = call.request["tools"][0]["functionDeclarations"]
    calling = call.request["toolConfig"]["functionCallingConfig"]
    assert calling["allowedFunctionNames"] == [declared["name"]]


def test_tools_allowed_with_mode_auto_are_the_only_ones_declared() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "b"}]}
    request = read([function("a"), function("b")], choice).request
    assert [tool["name"] for tool in request["tools"][0]["functionDeclarations"]] == ["b"]
    assert request["toolConfig"]["functionCallingConfig"] == {"mode": "AUTO"}


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([function("")], None, "tools[0].function.name"),
        ([{"type": "function"}], None, "tools[0].name"),
        ([function("a", parameters="x")], None, "tools[0].function.parameters"),
        ([function("a")], "sometimes", "tool_choice"),
        ([function("a")], 5, "tool_choice"),
        (
            [function("a")],
            {"type": "function", "function": {"name": "b"}},
            "tool_choice.function.name",
        ),
        ([function("a")], {"type": "function"}, "tool_choice.name"),
    ],
)
def test_a_bad_tool_is_named(tools: list[Json], choice: object, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(tools, choice)
    assert caught.value.param == param


def test_legacy_functions_are_declarations_too() -> None:
    call = Call(dialect="openai-chat", model="m", request={})
    fields = Fields.of({"functions": [{"name": "look", "parameters": CITY}]})
    read_functions(fields.objects("functions"), call.tool_names).put_into(call)
    (declared,) = call.request["tools"][0]["functionDeclarations"]
    assert declared["name"] == "look"
