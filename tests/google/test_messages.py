"""Which field belongs to which door."""

import pytest

from server.demo.errors import GoogleError, Json
from server.demo.messages import GENERATE
from server.demo.proto import Message, read
from tests.google import messages

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
    assert _reads(GENERATE, body) == on_gemini_api


def _reads(spec: Message, body: Json) -> bool:
    try:
        read(spec, body)
    except GoogleError:
        return False
    return True
