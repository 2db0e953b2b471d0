"""What the Gemini API's messages hold."""

import pytest

from server.demo.errors import GoogleError
from server.demo.messages import BUILT_IN_TOOLS, GENERATE, SCHEMA, TOOL
from server.demo.proto import read


def test_a_schema_may_contain_schemas() -> None:
    deep = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    inner = read(SCHEMA, deep)["properties"]["a"]["items"]
    assert inner == {"type": "STRING"}


def test_a_part_holds_one_thing() -> None:
    part = {"text": "a", "inlineData": {"mimeType": "image/png", "data": "aGk="}}
    with pytest.raises(GoogleError, match="oneof field is already set"):
        read(GENERATE, {"contents": [{"parts": [part]}]})


def test_every_built_in_tool_is_a_field_of_a_tool() -> None:
    assert set(BUILT_IN_TOOLS) < TOOL.fields.keys()
