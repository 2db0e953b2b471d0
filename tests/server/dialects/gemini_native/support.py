"""What the tests of Gemini's own dialect share."""

import json
from typing import Any

from hypothesis import strategies as st

from server.dialects.base import Params
from server.gemini.types import Json
from server.sse import SSEReader
from tests.rig import Rig

PARAMS = Params(path={"id": "gemini-2.5-flash"})
SSE = Params(path={"id": "gemini-2.5-flash"}, query={"alt": "sse"})
HELLO: Json = {"contents": [{"parts": [{"text": "Hello"}]}]}
MODEL = "/v1beta/models/gemini-2.5-flash"

HALVES = st.characters(categories=["Cs"])
TEXTS = st.text(st.characters(codec="utf-8") | HALVES, max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)
"""Whatever a JSON object can hold."""


def exactly(value: object) -> str:
    """JSON text that differs when the values do, be it 1 and 1.0."""
    return json.dumps(value, sort_keys=True)


async def elements_of(rig: Rig, path: str, body: Json = HELLO) -> list[Json]:
    """The events of an SSE answer, or the elements of a JSON array."""
    answer = await rig.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        return [json.loads(event) for event in SSEReader().feed(answer.content)]
    return list(answer.json())


def text_of(chunks: list[Json]) -> str:
    """All text in the answer."""
    parts = [p for c in chunks for p in c["candidates"][0]["content"].get("parts", [])]
    return "".join(part.get("text", "") for part in parts)
