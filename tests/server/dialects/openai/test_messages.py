import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.dialects.fields import Fields
from server.dialects.openai.messages import read_messages
from server.errors import BadRequestError
from server.gemini.fit import fit
from server.gemini.history import repair
from server.gemini.models import describe
from server.gemini.types import Call, CarriedSignature, Content, Json
from tests.server.dialects.openai.support import JSON_VALUES

SIGNATURE = "U0lHTkFUVVJF"


class NoSignatures:
    """A store that remembers nothing."""

    def call(self, tool_call_id: str) -> None:
        return None

    def text(self, digest: str) -> None:
        return None


def read(*messages: object) -> Call:
    call = Call(dialect="openai-chat", model="m", request={})
    read_messages(Fields.of({"messages": list(messages)}), call)
    return call


def contents(*messages: object) -> list[Content]:
    return read(*messages).request["contents"]


def texts(content: Content) -> list[str]:
    return [part["text"] for part in content["parts"] if part.get("text")]


def tool_call(call_id: str | None, name: str = "look", arguments: object = "{}") -> Json:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def assistant(*calls: Json, **more: object) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(call_id: str, content: object = "done", **more: object) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def test_leading_system_messages_become_the_system_instruction() -> None:
    call = read(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "hi"},
    )
    assert call.request["systemInstruction"] == {
        "role": "user",
        "parts": [{"text": "one"}, {"text": "two"}],
    }
    assert call.request["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_a_later_system_message_keeps_its_place_as_marked_user_text() -> None:
    later = contents({"role": "user", "content": "a"}, {"role": "developer", "content": "b"})[1]
    assert later == {
        "role": "user",
        "parts": [{"text": "<system_message>\nb\n</system_message>"}],
    }


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([{"role": "system", "content": "do it"}], "do it"),
        ([{"role": "system", "content": ""}], " "),
        ([{"role": "user", "content": ""}], " "),
        ([{"role": "user", "content": []}], " "),
        ([{"role": "user", "content": [{"type": "text", "text": ""}]}], " "),
    ],
)
def test_a_request_that_says_next_to_nothing_still_has_a_turn(
    messages: list[Json], said: str
) -> None:
    fitted = fit(read(*messages), describe("gemini-2.5-pro"), NoSignatures())
    assert fitted.request["contents"] == [{"role": "user", "parts": [{"text": said}]}]
    assert "systemInstruction" not in fitted.request


@pytest.mark.parametrize("message", [{"role": "user"}, {"role": "user", "content": None}])
def test_a_user_message_without_content_is_refused_while_it_is_new(message: Json) -> None:
    with pytest.raises(BadRequestError) as caught:
        read({"role": "user", "content": "a"}, {"role": "assistant"}, message)
    assert caught.value.param == "messages[2].content"
    assert read(message, {"role": "user", "content": "a"}).request["contents"][0]["parts"] == []


def test_reasoning_is_never_replayed() -> None:
    """opencode and the AI SDK send ``reasoning_content`` back."""
    message = {"role": "assistant", "content": "a", "reasoning_content": "b", "reasoning": "c"}
    assert texts(contents(message)[0]) == ["a"]


def test_a_refusal_is_something_the_model_said() -> None:
    assert texts(contents({"role": "assistant", "content": None, "refusal": "no"})[0]) == ["no"]


def test_the_message_object_of_the_python_sdk_is_understood_as_sent() -> None:
    """openai-python 3.54 sends ``message.to_dict()`` back with all its nulls."""
    nulls = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "parsed"))
    call = {
        **tool_call("call_1", arguments='{"city": "Paris"}'),
        "index": 0,
        "extra_content": {"google": {"thought_signature": SIGNATURE}},
    }
    call["function"]["parsed_arguments"] = None
    seen = read({"role": "assistant", "content": "", "tool_calls": [call], **nulls})
    (part,) = (p for p in seen.request["contents"][0]["parts"] if "functionCall" in p)
    assert part["functionCall"] == {"id": "call_1", "name": "look", "args": {"city": "Paris"}}
    assert seen.carried == {"call_1": CarriedSignature(SIGNATURE)}


def test_results_in_reverse_order_with_text_between_end_up_in_call_order() -> None:
    turns = repair(
        contents(
            {"role": "user", "content": "go"},
            assistant(tool_call("a"), tool_call("b"), tool_call("c")),
            result("c", "3"),
            {"role": "user", "content": "hurry"},
            {"role": "developer", "content": "rule"},
            result("b", "2"),
            result("a", "1"),
        )
    )
    answers = turns[2]["parts"]
    assert [part["functionResponse"]["id"] for part in answers[:3]] == ["a", "b", "c"]
    assert [part["text"] for part in answers[3:]] == [
        "hurry",
        "<system_message>\nrule\n</system_message>",
    ]


def test_a_missing_result_is_filled_in() -> None:
    turns = repair(contents(assistant(tool_call("a"), tool_call("b")), result("a")))
    answers = [part["functionResponse"] for part in turns[-1]["parts"]]
    assert [answer["id"] for answer in answers] == ["a", "b"]
    assert "error" in answers[1]["response"]


def test_a_result_of_an_unknown_call_is_still_told_to_the_model() -> None:
    turns = repair(contents({"role": "user", "content": "hi"}, result("nobody", "42 degrees")))
    assert "42 degrees" in json.dumps(turns)
    assert "functionResponse" not in json.dumps(turns)


def test_legacy_function_calls_and_results_find_each_other() -> None:
    turns = repair(
        contents(
            {"role": "user", "content": "go"},
            {"role": "assistant", "function_call": {"name": "look", "arguments": '{"n": 1}'}},
            {"role": "function", "name": "look", "content": "one"},
            {"role": "assistant", "function_call": {"name": "look", "arguments": '{"n": 2}'}},
            {"role": "function", "name": "look", "content": "two"},
        )
    )
    calls = [turns[i]["parts"][0]["functionCall"] for i in (1, 3)]
    answers = [turns[i]["parts"][0]["functionResponse"] for i in (2, 4)]
    assert [call["args"] for call in calls] == [{"n": 1}, {"n": 2}]
    assert [answer["response"]["output"] for answer in answers] == ["one", "two"]
    assert [call["id"] for call in calls] == [answer["id"] for answer in answers]


def test_tool_names_gemini_refuses_are_sent_under_another_name() -> None:
    call = read(assistant(tool_call("a", "mcp.look/up")), result("a", name="mcp.look/up"))
    sent = call.tool_names.send("mcp.look/up")
    names = [
        part[key]["name"]
        for content in call.request["contents"]
        for part in content["parts"]
        for key in ("functionCall", "functionResponse")
        if key in part
    ]
    assert names == [sent, sent]
    assert call.tool_names.client(sent) == "mcp.look/up"


def test_a_freeform_tool_call_becomes_its_input() -> None:
    custom = {"id": "a", "type": "custom", "custom": {"name": "exec", "input": "ls"}}
    parts = contents(assistant(custom))[0]["parts"]
    assert parts[-1]["functionCall"] == {"id": "a", "name": "exec", "args": {"input": "ls"}}


GOOGLE = {"google": {"thought_signature": SIGNATURE, "thought_signature_model": "gemini-3"}}
PLAIN = CarriedSignature(SIGNATURE)


@pytest.mark.parametrize(
    ("entry", "function", "found"),
    [
        ({"extra_content": GOOGLE}, {}, CarriedSignature(SIGNATURE, "gemini-3")),
        ({}, {"extra_content": GOOGLE}, CarriedSignature(SIGNATURE, "gemini-3")),
        ({"thought_signature": SIGNATURE}, {}, PLAIN),
        ({"thoughtSignature": SIGNATURE}, {}, PLAIN),
        ({"provider_specific_fields": {"thought_signature": SIGNATURE}}, {}, PLAIN),
        ({}, {"provider_specific_fields": {"thought_signature": SIGNATURE}}, PLAIN),
        ({"extra_content": {"google": {"thought_signature": "not base64!"}}}, {}, None),
        ({"extra_content": {"google": {"thought_signature": ""}}}, {}, None),
        ({"extra_content": {"google": {"thought_signature": 7}}}, {}, None),
        ({"extra_content": {"google": "odd"}}, {}, None),
        ({"extra_content": None}, {}, None),
        ({"thought_signature": "skip_thought_signature_validator"}, {}, None),
        ({"thought_signature": "QUJD" * (1 << 18) + "QUJD"}, {}, None),
    ],
)
def test_a_signature_is_found_wherever_a_client_keeps_it(
    entry: Json, function: Json, found: CarriedSignature | None
) -> None:
    call = {**tool_call("a"), **entry}
    call["function"] |= function
    assert read(assistant(call)).carried.get("a") == found


def test_a_signature_in_reasoning_details_belongs_to_the_call_it_names() -> None:
    details = [
        {"type": "reasoning.text", "text": "hm"},
        {"type": "reasoning.encrypted", "id": "b", "data": SIGNATURE},
        {"type": "reasoning.encrypted", "data": SIGNATURE},
        "odd",
    ]
    message = assistant(tool_call("a"), tool_call("b"), reasoning_details=details)
    assert read(message).carried == {"b": PLAIN}


def test_litellms_signature_inside_the_id_is_taken_out_of_call_and_result() -> None:
    long_id = f"call_1__thought__{SIGNATURE}"
    call = read(assistant(tool_call(long_id)), result(long_id))
    assert call.carried == {"call_1": PLAIN}
    assert "__thought__" not in json.dumps(call.request)


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ([], "messages"),
        ("hi", "messages"),
        (["hi"], "messages[0]"),
        ([{"content": "hi"}], "messages[0].role"),
        ([{"role": "critic", "content": "hi"}], "messages[0].role"),
        ([{"role": "system"}, {"role": "user", "content": 5}], "messages[1].content"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "hologram"}]}], "messages[0].content[0].type"),
        (
            [{"role": "system", "content": [{"type": "image_url", "image_url": "http://a.test"}]}],
            "messages[0].content",
        ),
        ([assistant({"id": "a"})], "messages[0].tool_calls[0].name"),
        ([{"role": "assistant", "tool_calls": "x"}], "messages[0].tool_calls"),
    ],
)
def test_a_bad_message_is_named(messages: object, param: str) -> None:
    call = Call(dialect="openai-chat", model="m", request={})
    with pytest.raises(BadRequestError) as caught:
        read_messages(Fields.of({"messages": messages}), call)
    assert caught.value.param == param


MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])},
    optional={
        "content": JSON_VALUES,
        "tool_calls": JSON_VALUES | st.lists(st.builds(tool_call, st.text(max_size=3))),
        "function_call": JSON_VALUES,
        "tool_call_id": st.text(max_size=3),
        "name": st.text(max_size=3),
        "reasoning_details": JSON_VALUES,
    },
)


@settings(max_examples=100)
@given(st.lists(MESSAGES, max_size=5))
def test_any_history_is_read_or_refused(messages: list[Json]) -> None:
    with suppress(BadRequestError):
        request = read(*messages).request
        json.dumps(request)
        repair(request["contents"])
