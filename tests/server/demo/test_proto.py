"""JSON as protocol buffers: names, types, paths."""

from typing import Any

import pytest

from server.demo.errors import GoogleError
from server.demo.messages import GENERATE
from server.demo.proto import MOST_VIOLATIONS, Message, Repeated, Scalar, decode_bytes, read
from tests.google import messages
from tests.support import user, weather_tool

Json = dict[str, Any]


def refusal(body: Json) -> GoogleError:
    with pytest.raises(GoogleError) as caught:
        read(messages.ENVELOPE, body)
    assert caught.value.status == 400
    return caught.value


def in_request(**fields: object) -> Json:
    return {"model": "m", "request": {"contents": [user("hi")], **fields}}


def test_both_spellings_are_read_and_null_is_unset() -> None:
    body: Json = {"model": "m", "user_prompt_id": "p", "project": None}
    body |= {"request": {"generation_config": {"max_output_tokens": "12", "topP": 0.5}}}
    assert read(messages.ENVELOPE, body) == {
        "model": "m",
        "userPromptId": "p",
        "request": {"generationConfig": {"maxOutputTokens": 12, "topP": 0.5}},
    }


def test_free_objects_keep_their_own_names() -> None:
    args = {"snake_case": None, "camelCase": [1]}
    parts = [{"function_call": {"name": "f", "args": args}}]
    message = read(GENERATE, {"contents": [{"role": "model", "parts": parts}]})
    assert message["contents"][0]["parts"][0]["functionCall"]["args"] == args


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"stream": True}, 'Unknown name "stream": Cannot find field.'),
        (in_request(model="x"), "Unknown name \"model\" at 'request': Cannot find field."),
        (
            in_request(generationConfig={"n": 1}),
            "Unknown name \"n\" at 'request.generation_config': Cannot find field.",
        ),
        (
            in_request(tools=[weather_tool(strict=True)]),
            "Unknown name \"strict\" at 'request.tools[0].function_declarations[0]': "
            "Cannot find field.",
        ),
        (
            in_request(toolConfig={"includeServerSideToolInvocations": True}),
            "Unknown name \"includeServerSideToolInvocations\" at 'request.tool_config': "
            "Cannot find field.",
        ),
    ],
)
def test_unknown_names_carry_their_path(body: Json, message: str) -> None:
    error = refusal(body)
    assert str(error) == f"Invalid JSON payload received. {message}"
    violations = error.error["details"][0]["fieldViolations"]
    assert violations[0]["description"] == str(error)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"generationConfig": {"temperature": "hot"}}, '(TYPE_FLOAT), "hot"'),
        ({"generationConfig": {"seed": 2**40}}, "TYPE_INT32"),
        ({"generationConfig": {"maxOutputTokens": 1.5}}, "TYPE_INT32"),
        ({"generationConfig": {"responseLogprobs": "yes"}}, "TYPE_BOOL"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "NONE"}}}, "ThinkingLevel"),
        ({"systemInstruction": "be terse"}, "Content"),
        ({"systemInstruction": [{"parts": []}]}, "is not repeating, cannot start list"),
        ({"labels": []}, "Map"),
        ({"safetySettings": [{"category": "RUDE"}]}, "HarmCategory"),
        ({"contents": [user({"text": ["a"]})]}, "is not repeating, cannot start list"),
        (
            {"contents": [user({"inlineData": {"mimeType": "image/png", "data": "§"}})]},
            "contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 decoding failed",
        ),
        ({"contents": [user({"text": "a", "functionCall": {"name": "f"}})]}, "oneof"),
        (
            {
                "tools": [
                    {
                        "functionDeclarations": [
                            {"name": "f", "parameters": {"type": ["string", "null"]}}
                        ]
                    }
                ]
            },
            "parameters.type",
        ),
    ],
)
def test_wrong_types_are_named(fields: Json, words: str) -> None:
    assert words in str(refusal(in_request(**fields)))


def test_all_violations_come_at_once() -> None:
    error = refusal({"a": 1, "b": 2})
    assert len(error.error["details"][0]["fieldViolations"]) == 2


@pytest.mark.parametrize("text", ["aGk=", "aGk", "-_-_", "skip_thought_signature_validator"])
def test_base64_is_read_in_every_spelling(text: str) -> None:
    assert decode_bytes(text) is not None


def test_a_refusal_stays_short_whatever_is_wrong() -> None:
    """100,000 bad safety settings were read to the end, and answered with 66 MB."""
    long = "x" * 1_000_000
    for field in (
        {"safetySettings": [{"category": "HARM", "threshold": "NONE"}] * 100_000},
        {"safetySettings": [{"category": long}] * 30},
        {"safetySettings": [{long: 1}] * 30},
        {"generationConfig": {f"{n}{long}": 1 for n in range(30)}},
    ):
        error = refusal(in_request(**field))
        violations = error.error["details"][0]["fieldViolations"]
        assert len(violations) == MOST_VIOLATIONS
        assert len(error.body()) < 16_000


def test_reading_ends_with_the_last_violation_that_is_told() -> None:
    looked: list[object] = []

    def refuses(value: object) -> bool:
        looked.append(value)
        return False

    odd = Scalar("TYPE_ODD", refuses)
    spec = Message("Many", {"n": Repeated(odd)})
    with pytest.raises(GoogleError):
        read(spec, {"n": list(range(100_000))})
    assert len(looked) == MOST_VIOLATIONS
