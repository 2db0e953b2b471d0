"""Built-in tools beside functions: the parts Google adds, and wants back."""

from typing import Any

import pytest

from tests.google.google import FakeGoogle
from tests.support import asking, events_of, message_of, result, user, weather_tool

Json = dict[str, Any]
TURN_1: Json = {
    "contents": [user("Where is the northernmost city, and how is the weather there?")],
    "tools": [{"googleSearch": {}}, weather_tool()],
    "toolConfig": {"includeServerSideToolInvocations": True},
}


def parts_of(chunks: list[Json]) -> list[Json]:
    return [part for c in chunks for part in c["candidates"][0]["content"].get("parts", ())]


def kinds_of(parts: list[Json]) -> list[str]:
    return [next(name for name in part if name != "thoughtSignature") for part in parts]


async def first_turn(google: FakeGoogle) -> tuple[list[Json], Json]:
    async with asking(google) as ask:
        response = await ask.gemini(TURN_1, "gemini-3.8-flash", "streamGenerateContent?alt=sse")
    chunks = events_of(response.content)
    return parts_of(chunks), chunks[-1]["usageMetadata"]


def second_turn(parts: list[Json]) -> Json:
    id_ = next(part["functionCall"]["id"] for part in parts if "functionCall" in part)
    answered = user(result("get_weather", {"output": "-12 C, snow"}, id=id_))
    contents = [*TURN_1["contents"], {"role": "model", "parts": parts}, answered]
    return TURN_1 | {"contents": contents}


async def test_a_search_stands_before_the_call_and_goes_back_as_it_came() -> None:
    google = FakeGoogle()
    parts, usage = await first_turn(google)
    assert kinds_of(parts) == ["toolCall", "toolResponse", "functionCall", "text"]
    call, response = parts[0]["toolCall"], parts[1]["toolResponse"]
    assert call["id"] == response["id"]
    assert call["toolType"] == response["toolType"] == "GOOGLE_SEARCH_WEB"
    assert call["args"]["queries"]
    assert all("thoughtSignature" in part for part in parts[:3])
    assert usage["toolUsePromptTokenCount"] == 40
    async with asking(google) as ask:
        again = await ask.gemini(second_turn(parts[:3]), "gemini-3.8-flash")
    assert kinds_of(parts_of([again.json()])) == ["text"]


async def test_half_a_pair_and_a_lost_signature_are_refused() -> None:
    google = FakeGoogle()
    parts, _ = await first_turn(google)
    unsigned = [{k: v for k, v in part.items() if k != "thoughtSignature"} for part in parts[:3]]
    async with asking(google) as ask:
        half = await ask.gemini(second_turn([parts[0], parts[2]]), "gemini-3.8-flash")
        bare = await ask.gemini(second_turn(unsigned), "gemini-3.8-flash")
        none = await ask.gemini(second_turn([parts[2]]), "gemini-3.8-flash")
    assert (half.status_code, bare.status_code, none.status_code) == (400, 400, 200)
    assert "followed by its tool response" in message_of(half)
    assert "missing a thought_signature" in message_of(bare)
    assert "function call `google:search`" in message_of(bare)


@pytest.mark.parametrize("model_id", ["gemini-3.8-flash", "gemini-4-hydrogen"])
async def test_without_the_flag_the_mix_is_refused(model_id: str) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(
            {k: v for k, v in TURN_1.items() if k != "toolConfig"}, model_id
        )
    assert message_of(response) == (
        "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with "
        "Function calling."
    )
