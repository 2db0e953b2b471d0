"""Which field belongs to which door."""

import pytest

from server.google_fake import messages
from server.google_fake.http import GoogleError, Json
from server.google_fake.proto import Message, read

CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]


@pytest.mark.parametrize(
    ("fields", "on_code_assist", "on_gemini_api"),
    [
        ({"session_id": "s"}, True, False),
        ({"labels": {"a": "b"}}, True, False),
        ({"generationConfig": {"audioTimestamp": True}}, True, False),
        ({"safetySettings": [{"method": "SEVERITY"}]}, True, False),
        ({"store": True}, False, True),
        ({"toolConfig": {"includeServerSideToolInvocations": True}}, False, True),
        ({"cachedContent": "c"}, True, True),
        ({"input": "x"}, False, False),
    ],
)
def test_fields_by_door(fields: Json, on_code_assist: bool, on_gemini_api: bool) -> None:
    body = {"contents": CONTENTS, **fields}
    assert _reads(messages.ENVELOPE, {"request": body}) == on_code_assist
    assert _reads(messages.GENERATE, body) == on_gemini_api


def _reads(spec: Message, body: Json) -> bool:
    try:
        read(spec, body)
    except GoogleError:
        return False
    return True


def test_a_schema_may_contain_schemas() -> None:
    deep = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    inner = read(messages.SCHEMA, deep)["properties"]["a"]["items"]
    assert inner == {"type": "STRING"}
