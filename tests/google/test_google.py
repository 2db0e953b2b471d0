"""FakeGoogle: routing, scripted answers, failures, and the record of it all."""

import asyncio
from typing import Any

import pytest

from tests.clock import FakeClock, settle
from tests.google import failures
from tests.google.google import API_KEY, FakeGoogle
from tests.google.http import FakeRequest
from tests.google.model import Answer, Asked
from tests.support import (
    asking,
    call,
    events_of,
    message_of,
    model,
    result,
    texts_of,
    user,
    weather_tool,
)

Json = dict[str, Any]
HELLO: Json = {"contents": [user("hello")]}


def streaming(body: bytes = b'{"contents":[{"parts":[{"text":"hello"}]}]}') -> FakeRequest:
    return FakeRequest(
        method="POST",
        path="/v1beta/models/gemini-3.8-flash:streamGenerateContent",
        query={"alt": "sse"},
        headers={"x-goog-api-key": API_KEY, "content-type": "application/json"},
        body=body,
    )


async def test_answers_can_be_scripted_exactly() -> None:
    google = FakeGoogle()
    parts: list[Json] = [{"text": "one "}, {"text": "two"}]
    google.answers.append(Answer(parts=parts, finish="SAFETY", usage={"promptTokenCount": 99}))
    async with asking(google) as ask:
        scripted = events_of(
            (await ask.gemini(HELLO, method="streamGenerateContent?alt=sse")).content
        )
        own = (await ask.gemini(HELLO)).json()
    assert [event["candidates"][0]["content"]["parts"] for event in scripted] == [
        [{"text": "one "}],
        [{"text": "two"}],
    ]
    assert scripted[-1]["candidates"][0]["finishReason"] == "SAFETY"
    assert scripted[-1]["usageMetadata"]["promptTokenCount"] == 99
    assert texts_of([own]) == "You said: hello"


async def test_answers_can_be_made_from_the_question() -> None:
    google = FakeGoogle()

    def shout(asked: Asked) -> Answer:
        return Answer(parts=[{"text": asked.user_text.upper()}])

    google.answers.append(shout)
    async with asking(google) as ask:
        assert texts_of([(await ask.gemini(HELLO)).json()]) == "HELLO"


async def test_a_whole_tool_conversation_on_the_strictest_model() -> None:
    """Replaying the model's parts untouched is what Google wants, signatures included."""
    question = user("The weather in both Paris and Rome?")
    request: Json = {"contents": [question], "tools": [weather_tool()]}
    async with asking(FakeGoogle()) as ask:
        first = (await ask.gemini(request, "gemini-3.8-flash")).json()
        parts = first["candidates"][0]["content"]["parts"]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        answers = [result("get_weather", {"output": "rain"}, id=c["id"]) for c in calls]
        request["contents"] += [model(*parts), user(*answers)]
        second = await ask.gemini(request, "gemini-3.8-flash")
        for part in parts:
            part.pop("thoughtSignature", None)
        unsigned = await ask.gemini(request, "gemini-3.8-flash")
    assert len(calls) == 2
    assert texts_of([second.json()]).count("get_weather: rain") == 2
    assert "missing a thought_signature" in message_of(unsigned)


async def test_a_long_beginning_is_cached_the_second_time() -> None:
    system = {"systemInstruction": {"parts": [{"text": "word " * 4000}]}}
    async with asking(FakeGoogle()) as ask:
        usages = [(await ask.gemini(HELLO | system)).json()["usageMetadata"] for _ in range(2)]
    assert "cachedContentTokenCount" not in usages[0]
    assert usages[1]["cachedContentTokenCount"] > 4096
    assert usages[0]["promptTokenCount"] == usages[1]["promptTokenCount"]


async def test_failures_come_in_order_and_run_out() -> None:
    google = FakeGoogle()
    google.fail(failures.rate_limited(), failures.unavailable())
    async with asking(google) as ask:
        statuses = [(await ask.gemini(HELLO)).status_code for _ in range(3)]
    assert statuses == [429, 503, 200]


async def test_failures_can_be_aimed_at_a_model_or_a_method() -> None:
    google = FakeGoogle()
    google.fail(failures.not_found(), model="gemini-3.6-flash", times=None)
    google.fail(failures.internal(), methods={"models"}, times=2)
    async with asking(google) as ask:
        pro = [(await ask.gemini(HELLO, "gemini-3.6-flash")).status_code for _ in range(3)]
        flash = (await ask.gemini(HELLO)).status_code
        lists = [
            (await ask.http.get("/v1beta/models", headers=ask.key)).status_code for _ in range(3)
        ]
    assert (pro, flash, lists) == ([404] * 3, 200, [500, 500, 200])


async def test_a_quota_window_opens_again_with_the_clock() -> None:
    clock = FakeClock()
    google = FakeGoogle(now=clock.now, limit=(2, 60))
    async with asking(google) as ask:
        statuses = [(await ask.gemini(HELLO)).status_code for _ in range(2)]
        await clock.advance(20)
        refused = (await ask.gemini(HELLO)).json()["error"]
        await clock.advance(40)
        statuses.append((await ask.gemini(HELLO)).status_code)
    assert statuses == [200, 200, 200]
    assert refused["details"][1]["retryDelay"] == "40s"


async def test_a_wrong_request_is_never_excused_by_a_failure() -> None:
    google = FakeGoogle()
    google.fail(failures.rate_limited())
    async with asking(google) as ask:
        wrong = await ask.gemini({"contents": []})
        right = await ask.gemini(HELLO)
    assert (wrong.status_code, right.status_code) == (400, 429)


async def test_every_request_is_recorded() -> None:
    google = FakeGoogle(now=lambda: 42.0)
    async with asking(google) as ask:
        await ask.gemini(HELLO, "gemini-3.6-flash")
        await ask.envelope(HELLO, "gemini-3-flash-preview")
        await ask.http.post("/token", data={"grant_type": "x"})
        await ask.http.get("/nowhere")
    first, second, third, fourth = google.requests
    assert (first.call, first.model, first.json, first.at) == (
        "generateContent",
        "gemini-3.6-flash",
        HELLO,
        42.0,
    )
    assert (second.call, second.model) == ("streamGenerateContent", "gemini-3-flash-preview")
    assert second.query == {"alt": "sse"}
    assert (third.call, third.status, fourth.status) == ("token", 401, 404)
    assert all(entry.finished and not entry.cancelled for entry in google.requests)
    assert google.calls("token") == [third]


async def test_leaving_in_the_middle_is_noticed() -> None:
    google = FakeGoogle()
    response = await google.handle(streaming())
    await anext(response.body)
    await response.body.aclose()  # type: ignore[attr-defined]
    assert (google.requests[0].cancelled, google.requests[0].finished) == (True, False)


async def test_leaving_before_the_first_byte_is_noticed() -> None:
    clock = FakeClock()
    google = FakeGoogle(sleep=clock.sleep, now=clock.now)
    google.fail(failures.slow_first_byte(90))
    task = asyncio.create_task(google.handle(streaming()))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert google.requests[0].cancelled


async def test_silence_passes_with_the_clock() -> None:
    clock = FakeClock()
    google = FakeGoogle(sleep=clock.sleep, now=clock.now, chunk_delay_s=5)
    google.fail(failures.stalled(60, after=1))
    response = await google.handle(streaming())
    await anext(response.body)
    waiting = asyncio.ensure_future(anext(response.body))
    await clock.advance(59)
    assert not waiting.done()
    await clock.advance(6)
    assert await waiting


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe"])
async def test_a_body_that_is_no_object(body: bytes) -> None:
    response = await FakeGoogle().handle(streaming(body))
    assert response.status == 400


async def test_a_form_is_no_json() -> None:
    request = streaming()
    request.headers["content-type"] = "text/plain"  # type: ignore[index]
    assert (await FakeGoogle().handle(request)).status == 400


async def test_flavour_marks_every_text_answer() -> None:
    async with asking(FakeGoogle(flavour="[demo] ")) as ask:
        assert texts_of([(await ask.gemini(HELLO)).json()]) == "[demo] You said: hello"


async def test_without_alt_sse_a_stream_is_one_json_array() -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.gemini(HELLO, method="streamGenerateContent")
    assert response.headers["content-type"].startswith("application/json")
    assert texts_of(response.json()) == "You said: hello"


async def test_calls_in_scripted_answers_can_be_signed_like_the_models_own() -> None:
    google = FakeGoogle()
    google.answers.append(Answer(parts=[call("f")], signed=True))
    async with asking(google) as ask:
        answer = (await ask.gemini(HELLO, "gemini-3-flash-preview")).json()
    part = answer["candidates"][0]["content"]["parts"][0]
    assert part["thoughtSignature"]
    assert part["functionCall"]["id"]
