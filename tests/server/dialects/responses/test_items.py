import base64

import pytest
from hypothesis import given
from openai.types.responses import ResponseItem

from server.dialects.fields import Fields
from server.dialects.responses.envelope import Envelope, seal
from server.dialects.responses.items import item_type, read_items, stored_item, tools_in
from server.dialects.responses.tools import read_tool_box
from server.errors import BadRequestError
from server.gemini.types import Call, CarriedSignature, Json
from tests.server.dialects.openai.support import JSON_VALUES, strict

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
AGENTS: Json = {
    "type": "namespace",
    "name": "agents_v1",
    "tools": [{"type": "function", "name": "close_agent"}],
}


def read(*items: Json, model: str = "gemini-3-pro-preview") -> Call:
    call = Call(dialect="openai-responses", model=model, request={})
    fields = [Fields.of(item, f"input[{index}]") for index, item in enumerate(items)]
    box = read_tool_box([*tools_in(fields), Fields.of(AGENTS)], call.tool_names)
    read_items(fields, box, call)
    return call


def contents(*items: Json) -> list[tuple[str, list[Json]]]:
    return [(c["role"], c["parts"]) for c in read(*items).request["contents"]]


def said(role: str, text: str) -> Json:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def called(name: str, **args: object) -> Json:
    return {"functionCall": {"id": "call_1", "name": name, "args": args}}


def answered(name: str, output: str) -> Json:
    return {"functionResponse": {"id": "call_1", "name": name, "response": {"output": output}}}


def test_messages_keep_their_order_and_notes_their_place() -> None:
    call = read(
        said("developer", "Rules"),
        said("system", "More rules"),
        said("user", "Hi"),
        said("assistant", "Hello"),
        said("developer", "Be quick"),
        {"role": "user", "content": "Go"},
    )
    assert call.request["systemInstruction"]["parts"] == [{"text": "Rules"}, {"text": "More rules"}]
    assert [(c["role"], c["parts"][0]["text"]) for c in call.request["contents"]] == [
        ("user", "Hi"),
        ("model", "Hello"),
        ("user", "<system_message>\nBe quick\n</system_message>"),
        ("user", "Go"),
    ]


@pytest.mark.parametrize(
    ("item", "part"),
    [
        (
            {"type": "function_call", "name": "f", "arguments": '{"a": 1}'},
            called("f", a=1),
        ),
        ({"type": "function_call", "name": "f", "arguments": "{bro"}, called("f", _raw="{bro")),
        (
            {
                "type": "function_call",
                "name": "close_agent",
                "namespace": "agents_v1",
                "arguments": "",
            },
            called("agents_v1__close_agent"),
        ),
        (
            {"type": "function_call", "name": "close_agent", "arguments": None},
            called("agents_v1__close_agent"),
        ),
        (
            {"type": "custom_tool_call", "name": "exec", "namespace": "functions", "input": "1+1"},
            called("functions__exec", input="1+1"),
        ),
        (
            {"type": "shell_call", "action": {"commands": ["ls"], "timeout_ms": None}},
            called("shell", commands=["ls"]),
        ),
        (
            {
                "type": "apply_patch_call",
                "operation": {"type": "delete_file", "path": "a"},
            },
            called("apply_patch", type="delete_file", path="a"),
        ),
        (
            {"type": "tool_search_call", "arguments": {"query": "q"}},
            called("tool_search", query="q"),
        ),
    ],
)
def test_every_kind_of_call_is_a_function_call(item: Json, part: Json) -> None:
    assert contents({**item, "call_id": "call_1"}) == [("model", [part])]


@pytest.mark.parametrize(
    ("item", "name", "output"),
    [
        ({"type": "function_call_output", "output": "done"}, "", "done"),
        ({"type": "function_call_output"}, "", ""),
        (
            {
                "type": "custom_tool_call_output",
                "output": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_text", "text": "b"},
                ],
            },
            "",
            "a\nb",
        ),
        ({"type": "local_shell_call_output", "output": '{"x":1}'}, "local_shell", '{"x":1}'),
        (
            {"type": "shell_call_output", "output": [{"stdout": "a", "stderr": ""}]},
            "shell",
            '[{"stdout":"a","stderr":""}]',
        ),
        (
            {"type": "apply_patch_call_output", "status": "failed", "output": "no such file"},
            "apply_patch",
            "failed: no such file",
        ),
        (
            {"type": "tool_search_output", "tools": [{"type": "function", "name": "send_mail"}]},
            "tool_search",
            "Tools found: send_mail",
        ),
    ],
)
def test_every_kind_of_result_is_a_function_response(item: Json, name: str, output: str) -> None:
    assert contents({**item, "call_id": "call_1"}) == [("user", [answered(name, output)])]


def test_images_in_messages_and_results_are_data() -> None:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "high"}
    ((_, parts), (_, results)) = contents(
        {"role": "user", "content": [image]},
        {"type": "function_call_output", "call_id": "call_1", "output": [image]},
    )
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    assert parts == [inline]
    assert results[0]["functionResponse"]["parts"] == [inline]


def test_an_image_that_the_model_made_is_shown_to_it_again() -> None:
    made = {"type": "image_generation_call", "id": "ig_1", "result": PNG, "output_format": "webp"}
    assert contents(made) == [
        ("model", [{"inlineData": {"mimeType": "image/webp", "data": PNG}}]),
    ]


def test_what_another_provider_ran_itself_is_a_call_with_its_result() -> None:
    (_, (call,)), (_, (result,)) = contents(
        {"type": "mcp_call", "id": "mcp_1", "name": "ask", "arguments": '{"q": 1}', "output": "yes"}
    )
    assert call["functionCall"] == {"id": "mcp_1", "name": "ask", "args": {"q": 1}}
    assert result["functionResponse"]["response"] == {"output": "yes"}
    (_, (ran,)), _ = contents({"type": "code_interpreter_call", "id": "ci_1", "code": "1+1"})
    assert ran["functionCall"]["args"] == {"code": "1+1"}


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}},
        {"type": "compaction", "encrypted_content": "x"},
        {"type": "item_of_tomorrow", "name": 5},
        {"type": ["odd"]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thought"}]},
        {"type": "reasoning", "content": None, "encrypted_content": "gAAAA-from-elsewhere"},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "image_generation_call", "id": "ig_1", "result": None},
        {},
    ],
)
def test_items_that_say_nothing_to_gemini_are_left_out(item: Json) -> None:
    assert contents(item, said("user", "Hi")) == [("user", [{"text": "Hi"}])]


def test_signatures_go_to_the_calls_they_belong_to() -> None:
    sealed = seal(Envelope("gemini-3-pro-preview", {"call_1": "U0lH"}))
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    assert read(item).carried == {"call_1": CarriedSignature("U0lH", "gemini-3-pro-preview")}


@pytest.mark.parametrize("model", ["gemini-3-pro-preview", "gpt-5"])
def test_a_text_is_signed_again_only_for_the_model_that_signed_it(model: str) -> None:
    sealed = seal(Envelope("gemini-3-pro-preview", text="U0lH"))
    reasoning = {"type": "reasoning", "encrypted_content": sealed}
    call = read(said("assistant", "Hello"), reasoning, said("user", "Hi"), reasoning, model=model)
    signed = [p.get("thoughtSignature") for c in call.request["contents"] for p in c["parts"]]
    assert signed == ["U0lH" if model == "gemini-3-pro-preview" else None, None]


def test_tools_come_with_items_too() -> None:
    items = [
        {"type": "additional_tools", "tools": [{"type": "custom", "name": "exec"}]},
        {"type": "tool_search_output", "tools": [{"type": "function", "name": "mail"}]},
    ]
    found = tools_in(Fields.of(item) for item in items)
    assert [tool.raw["name"] for tool in found] == ["exec", "mail"]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "critic", "content": "x"}, "input[0].role"),
        ({"type": "message", "content": "x"}, "input[0].role"),
        ({"role": "user", "content": 5}, "input[0].content"),
        ({"role": "user", "content": [{"type": "hologram"}]}, "input[0].content[0].type"),
        ({"type": "function_call", "call_id": "c", "arguments": "{}"}, "input[0].name"),
        ({"type": "function_call", "call_id": 5, "name": "f"}, "input[0].call_id"),
        (
            {"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]},
            "input[0].content[0].file_id",
        ),
    ],
)
def test_what_cannot_be_understood_names_its_field(item: Json, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(item)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_image", "image_url": "data:image/png;base64,aGk="}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "id": None},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "x"},
        {"type": "reasoning", "summary": [], "content": None, "encrypted_content": None},
    ],
)
def test_a_stored_item_is_whole_enough_for_strict_sdks(item: Json) -> None:
    stored = stored_item(item)
    assert stored["id"]
    strict(ResponseItem, stored)
    assert stored_item(stored) == stored


@given(JSON_VALUES)
def test_storing_never_fails_on_what_was_read(value: object) -> None:
    item: Json = {"type": "message", "role": "user", "content": value}
    try:
        read(item)
    except BadRequestError:
        return
    assert item_type(stored_item(item)) == "message"
