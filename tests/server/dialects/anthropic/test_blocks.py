"""Messages and content blocks -> contents and parts."""

import json
from typing import Any

import pytest

from server.dialects.anthropic.blocks import Conversation
from server.dialects.anthropic.envelope import seal
from server.dialects.fields import Fields
from server.errors import BadRequestError
from server.gemini.names import ToolNames
from server.gemini.types import CarriedSignature, Json

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
PNG_PART = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
PDF_PART = {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjQK"}}


def read(*messages: Json, system: object = None) -> Conversation:
    fields = Fields({"messages": list(messages), "system": system}, notation="dots")
    conversation = Conversation(ToolNames())
    conversation.read_system(fields)
    conversation.read_messages(fields)
    return conversation


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def call(call_id: str, name: str = "Bash", arguments: object = None) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: object = None, **more: object) -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def parts(*blocks: Json) -> list[Json]:
    """The parts of a user message; a word before it, so that it may come to nothing."""
    return read(user(text("go")), user(*blocks)).contents[1]["parts"]


def response(content: object, **more: object) -> Any:
    [part] = parts(result("t1", content, **more))
    return part["functionResponse"]


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (None, []),
        ("", []),
        ([], []),
        ("be brief", ["be brief"]),
        ([text("a"), text(" \n"), text("b")], ["a", "b"]),
        ([{**text("a"), "cache_control": {"type": "ephemeral"}}], ["a"]),
        ([text("x-anthropic-billing-header: cc_version=2.1.330.56c;"), text("a")], ["a"]),
    ],
)
def test_system(system: object, expected: list[str]) -> None:
    conversation = read(user(text("hi")), system=system)
    assert conversation.system == [{"text": words} for words in expected]


def test_system_messages_before_the_conversation_are_a_system_prompt() -> None:
    conversation = read({"role": "system", "content": "a"}, user(text("hi")), system="s")
    assert conversation.system == [{"text": "s"}, {"text": "a"}]
    assert len(conversation.contents) == 1


def test_later_system_messages_are_reminders_at_their_place() -> None:
    conversation = read(
        user(text("go")),
        assistant(call("t1")),
        user(result("t1", "done")),
        {"role": "system", "content": [text("# Env"), text("linux")]},
        assistant(text("ok")),
        user(text("more")),
    )
    roles = [content["role"] for content in conversation.contents]
    assert roles == ["user", "model", "user", "user", "model", "user"]
    reminder = "<system-reminder>\n# Env\nlinux\n</system-reminder>"
    assert conversation.contents[3]["parts"] == [{"text": reminder}]


def test_a_reminder_for_one_turn_is_gone_after_the_next_user_message() -> None:
    once: Json = {"role": "system", "content": "once", "clear_at": "next_user_message"}
    conversation = read(user(text("a")), once, assistant(text("b")), user(text("c")), once)
    texts = [part["text"] for content in conversation.contents for part in content["parts"]]
    assert texts == ["a", "b", "c", "<system-reminder>\nonce\n</system-reminder>"]


def test_the_last_effort_of_a_system_message_counts() -> None:
    conversation = read(
        user(text("a")),
        {"role": "system", "content": "x", "output_config": {"effort": "high"}},
        {"role": "system", "content": "y", "output_config": {"effort": "low"}},
        {"role": "system", "content": "z"},
    )
    assert conversation.effort == "low"


def test_a_string_is_one_text_block() -> None:
    conversation = read({"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"})
    assert conversation.contents == [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "yo"}]},
    ]


@pytest.mark.parametrize("content", [None, "", [], [text("")], [text("\n")]])
def test_an_empty_message_has_no_parts(content: object) -> None:
    conversation = read(user(text("hi")), {"role": "assistant", "content": content})
    assert conversation.contents[1]["parts"] == []


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "image", "source": PNG}, [PNG_PART]),
        (
            {"type": "image", "source": {**PNG, "data": "data:image/png;base64,iVBO\nRw0KGgo="}},
            [PNG_PART],
        ),
        (
            {"type": "image", "source": {**PNG, "media_type": "image/jpg", "data": "aGk="}},
            [{"inlineData": {"mimeType": "image/jpeg", "data": "aGk="}}],
        ),
        (
            {
                "type": "image",
                "source": {"type": "url", "url": "data:image/png;base64,iVBORw0KGgo="},
            },
            [PNG_PART],
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "data:image/svg+xml,%3Csvg/%3E"}},
            [{"text": "<svg/>"}],
        ),
        ({"type": "document", "source": PDF}, [PDF_PART]),
        (
            {"type": "document", "source": PDF, "title": "T", "context": "C"},
            [{"text": "Document: T\nC"}, PDF_PART],
        ),
        (
            {"type": "document", "source": {"type": "text", "data": "words"}, "title": 'a "b"'},
            [{"text": '<document title="a \\"b\\"">\nwords\n</document>'}],
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "words"}},
            [{"text": "<document>"}, {"text": "words"}, {"text": "</document>"}],
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "image", "source": PNG}]},
            },
            [{"text": "<document>"}, PNG_PART, {"text": "</document>"}],
        ),
        (
            {"type": "search_result", "title": "T", "source": "S", "content": [text("found")]},
            [{"text": '<search_result title="T" source="S">\nfound\n</search_result>'}],
        ),
        (
            {"type": "compaction", "content": "we talked"},
            [{"text": "Summary of earlier conversation:\nwe talked"}],
        ),
        ({"type": "compaction", "content": None}, []),
        ({"type": "thinking", "thinking": "hm", "signature": "Eq=="}, []),
        ({"type": "redacted_thinking", "data": "x"}, []),
        ({"type": "container_upload", "file_id": "f"}, []),
        ({"type": "fallback"}, []),
        ({"type": "hologram", "text": "never seen"}, []),
        ({"type": "image", "source": {"type": "hologram"}}, []),
        ({"type": "document", "source": {"type": "hologram"}}, []),
    ],
    ids=lambda v: v["type"] if isinstance(v, dict) else "",
)
def test_blocks(block: Json, expected: list[Json]) -> None:
    assert parts(block) == expected


def test_a_linked_image_is_left_to_be_fetched_into_its_part() -> None:
    link = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    conversation = read(user(text("look"), link))
    [download] = conversation.incoming.downloads
    assert download.part is conversation.contents[0]["parts"][1]
    assert download.url == "https://example.org/a.png"
    assert download.param == "messages.0.content.1.image.source.url"
    assert download.media == ("image/",)


def test_a_linked_pdf_inside_a_tool_result_is_fetched_too() -> None:
    link = {"type": "document", "source": {"type": "url", "url": "http://example.org/a.pdf"}}
    conversation = read(user(result("t1", [link])))
    [download] = conversation.incoming.downloads
    [part] = conversation.contents[0]["parts"]
    assert part["functionResponse"]["parts"][0] is download.part
    assert download.media == ("application/pdf",)


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        ("done", {}, {"output": "done"}),
        ("", {}, {"output": ""}),
        (None, {}, {"output": ""}),
        ([], {}, {"output": ""}),
        ([text("a"), text("b")], {}, {"output": "a\nb"}),
        ('{"a": 1}', {}, {"output": '{"a": 1}'}),
        ("no such file", {"is_error": True}, {"error": "no such file"}),
        ("fine", {"is_error": False}, {"output": "fine"}),
        ([{"type": "search_result", "title": "T", "content": [text("f")]}], {}, None),
        ([{"type": "tool_result"}, {"type": "browser_state"}, text("a")], {}, {"output": "a"}),
    ],
)
def test_tool_results(content: object, more: Json, expected: Json | None) -> None:
    expected = expected or {"output": '<search_result title="T">\nf\n</search_result>'}
    assert response(content, **more) == {"id": "t1", "name": "", "response": expected}


def test_media_of_a_tool_result_is_nested_in_it() -> None:
    image = {"type": "image", "source": PNG}
    assert response([image]) == {
        "id": "t1",
        "name": "",
        "response": {"output": "Binary content provided (1 item(s))."},
        "parts": [PNG_PART],
    }
    both = response([text("read x.pdf"), {"type": "document", "source": PDF}])
    assert (both["response"], both["parts"]) == ({"output": "read x.pdf"}, [PDF_PART])


def test_found_tools_are_loaded_and_told() -> None:
    """Claude Code's ToolSearch answers with tool_reference blocks."""
    references = [{"type": "tool_reference", "tool_name": n} for n in ("WebSearch", "WebFetch")]
    conversation = read(user(result("t1", references)))
    [part] = conversation.contents[0]["parts"]
    output = part["functionResponse"]["response"]
    assert output == {"output": "Tools now available: WebSearch, WebFetch"}
    assert conversation.loaded == {"WebSearch", "WebFetch"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"a": 1}, {"a": 1}),
        (None, {}),
        ('{"a": 1}', {"a": 1}),
        ("not json", {"value": "not json"}),
        ("[" * 100_000, {"value": "[" * 100_000}),
        ('{"a": NaN}', {"value": '{"a": NaN}'}),
        ('{"a": 1e999}', {"value": '{"a": 1e999}'}),
        ([1], {"value": [1]}),
        (7, {"value": 7}),
    ],
)
def test_the_input_of_a_call_is_an_object(given: object, sent: Json) -> None:
    conversation = read(user(text("go")), assistant(call("t1", "a b", given)))
    expected = {"functionCall": {"id": "t1", "name": "a_b", "args": sent}}
    assert conversation.contents[1]["parts"] == [expected]
    assert conversation.loaded == {"a b"}


def thinking(signature: str) -> Json:
    return {"type": "thinking", "thinking": "", "signature": signature}


def carried(*blocks: Json) -> dict[str, CarriedSignature]:
    return read(user(text("go")), assistant(*blocks)).carried


OURS = seal("sig", "gemini-3-pro")
SIGNATURE = CarriedSignature("sig", "gemini-3-pro")


def test_a_signature_goes_to_the_first_call_after_its_thinking_block() -> None:
    assert carried(text("x"), thinking(OURS), call("A"), call("B")) == {"A": SIGNATURE}


def test_the_nearest_thinking_block_counts() -> None:
    blocks = (thinking(seal("old", "m")), text("x"), thinking(OURS), call("A"))
    assert carried(*blocks) == {"A": SIGNATURE}


def test_an_empty_envelope_does_not_hide_the_one_before_it() -> None:
    assert carried(thinking(OURS), thinking(seal(None, None)), call("A")) == {"A": SIGNATURE}


def test_every_call_may_have_its_own() -> None:
    found = carried(thinking(OURS), call("A"), thinking(seal("two", "m")), call("B"))
    assert found == {"A": SIGNATURE, "B": CarriedSignature("two", "m")}


@pytest.mark.parametrize("signature", ["EqMBCkYIBRgCKkBxYzE3", "SIG-OMITTED==", ""])
def test_genuine_claude_signatures_are_ignored(signature: str) -> None:
    assert carried(thinking(signature), call("A")) == {}


def test_a_signature_does_not_reach_into_the_next_message() -> None:
    conversation = read(user(text("go")), assistant(thinking(OURS)), assistant(call("A")))
    assert conversation.carried == {}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"type": "server_tool_use", "name": "web_search", "input": {"query": "gemini"}},
            '[web_search "gemini"]',
        ),
        ({"type": "mcp_tool_use", "name": "look", "input": {}}, "[look]"),
        (
            {
                "type": "web_search_tool_result",
                "content": [
                    {"type": "web_search_result", "title": "T", "url": "https://a", "x": 1},
                    {"type": "web_search_result", "title": "U", "url": "https://b"},
                ],
            },
            "T — https://a\nU — https://b",
        ),
        (
            {
                "type": "web_search_tool_result",
                "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
            },
            "unavailable",
        ),
        (
            {
                "type": "bash_code_execution_tool_result",
                "content": {"stdout": "1", "stderr": "oops", "return_code": 0, "content": []},
            },
            "1\noops",
        ),
        ({"type": "mcp_tool_result", "content": [text("hi")]}, "hi"),
    ],
    ids=lambda v: v["type"] if isinstance(v, dict) else "",
)
def test_tools_run_by_anthropic_become_text(block: Json, expected: str) -> None:
    conversation = read(user(text("go")), assistant(block))
    assert conversation.contents[1]["parts"] == [{"text": expected}]


def test_a_server_side_tool_search_loads_what_it_found() -> None:
    found = {"tool_references": [{"type": "tool_reference", "tool_name": "A"}, 1, {}]}
    block = {"type": "tool_search_tool_result", "tool_use_id": "s", "content": found}
    assert read(user(text("go")), assistant(block)).loaded == {"A"}


def test_a_result_of_any_depth_is_read_without_harm() -> None:
    deep: object = "end"
    for _ in range(400):
        deep = [{"content": deep}]
    conversation = read(user(text("go"), {"type": "mcp_tool_result", "content": deep}))
    assert conversation.contents[0]["parts"] == [{"text": "go"}]


def test_tool_changes_are_noted_in_order() -> None:
    added = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "A"}}
    removed = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "B"}}
    definition = {"name": "C", "input_schema": {"type": "object"}}
    inline = {
        "type": "tool_addition",
        "tool": {"type": "tool_definition", "definition": definition},
    }
    conversation = read(
        user({"type": "compaction", "tool_changes": [removed]}, text("go")),
        {"role": "system", "content": [added, inline]},
    )
    noted = [(change.name, change.added) for change in conversation.changes]
    assert noted == [("B", False), ("A", True), ("C", True)]
    last = conversation.changes[-1].definition
    assert last is not None
    assert last.raw == definition
    assert len(conversation.contents) == 1


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (None, "messages: Field required"),
        ("hi", "messages: Input should be a valid list"),
        ([], "messages: at least one message is required"),
        ([user()], "messages: at least one message is required"),
        ([{"role": "system", "content": "x"}], "messages: at least one message is required"),
        (["hi"], "messages.0: Input should be a valid object"),
        ([{"content": "hi"}], "messages.0.role: Field required"),
        (
            [{"role": "tool", "content": "hi"}],
            "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        ),
        ([{"role": "user", "content": 5}], "messages.0.content: Input should be a valid list"),
        ([user("hi")], "messages.0.content.0: Input should be a valid object"),  # type: ignore[arg-type]
        ([user({"text": "hi"})], "messages.0.content.0.type: Field required"),
        ([user({"type": "text"})], "messages.0.content.0.text.text: Field required"),
        (
            [user(text("a"), {"type": "text", "text": 1})],
            "messages.0.content.1.text.text: Input should be a valid string",
        ),
        ([user({"type": "image"})], "messages.0.content.0.image.source: Field required"),
        (
            [user({"type": "image", "source": {**PNG, "media_type": "image/bmp"}})],
            "messages.0.content.0.image.source.base64.media_type: Input should be "
            "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ),
        (
            [user({"type": "image", "source": {"type": "base64", "media_type": "image/png"}})],
            "messages.0.content.0.image.source.base64.data: Field required",
        ),
        (
            [user({"type": "document", "source": {**PDF, "media_type": "text/html"}})],
            "messages.0.content.0.document.source.base64.media_type: "
            "Input should be 'application/pdf'",
        ),
        (
            [user({"type": "image", "source": {"type": "file", "file_id": "f"}})],
            "messages.0.content.0.image.source.file_id: File not found",
        ),
        (
            [user({"type": "document", "source": {"type": "file", "file_id": "f"}})],
            "messages.0.content.0.document.source.file_id: File not found",
        ),
        (
            [user({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}})],
            "messages.0.content.0.image.source.url: "
            "Input should be an http(s) or gs:// address or a data: URL",
        ),
        (
            [user({"type": "image", "source": {"type": "url", "url": "data:nothing"}})],
            "messages.0.content.0.image.source.url: This data: URL has no data",
        ),
        (
            [user(result(""))],
            "messages.0.content.0.tool_result.tool_use_id: Field required",
        ),
        (
            [assistant({"type": "tool_use", "name": "n"})],
            "messages.0.content.0.tool_use.id: Field required",
        ),
    ],
    ids=lambda v: v if isinstance(v, str) else json.dumps(v)[:40],
)
def test_what_cannot_be_understood_is_named(messages: object, message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        Conversation(ToolNames()).read_messages(Fields({"messages": messages}, notation="dots"))
    assert caught.value.message == message
    assert caught.value.param == message.partition(": ")[0]
