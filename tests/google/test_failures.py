"""Every failure looks on the wire as reported."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.google import failures
from tests.google.failures import Failure
from tests.google.google import FakeGoogle
from tests.support import asking, events_of, message_of, user

Json = dict[str, Any]
HELLO: Json = {"contents": [user("hello to everybody who reads this")]}


async def failing(failure: Failure, door: str = "code-assist") -> httpx.Response:
    google = FakeGoogle()
    google.fail(failure)
    async with asking(google) as ask:
        if door == "code-assist":
            return await ask.envelope(HELLO)
        return await ask.gemini(HELLO, method="streamGenerateContent?alt=sse")


def _reason(response: httpx.Response) -> str | None:
    details: list[Json] = response.json()["error"].get("details", [{}])
    return details[0].get("reason")


@pytest.mark.parametrize(
    ("failure", "status", "reason", "words"),
    [
        (failures.rate_limited(2), 429, "RATE_LIMIT_EXCEEDED", "reset after 2s"),
        (failures.rate_limited_without_delay(), 429, "RATE_LIMIT_EXCEEDED", "after 39s"),
        (failures.quota_exhausted(), 429, "QUOTA_EXHAUSTED", "Resets in 9h22m20s"),
        (failures.quota_until("2026-11-22T19:22:20Z"), 429, "QUOTA_EXHAUSTED", "Quota"),
        (failures.capacity(), 429, "MODEL_CAPACITY_EXHAUSTED", "No capacity available"),
        (failures.capacity(503), 503, "MODEL_CAPACITY_EXHAUSTED", "No capacity available"),
        (failures.quota_failure("PerDay", "3s"), 429, None, "Please retry in 3s"),
        (failures.not_in_plan(), 429, None, "limit: 0"),
        (failures.no_credits(), 429, "INSUFFICIENT_G1_CREDITS_BALANCE", "credits"),
        (failures.unauthenticated(), 401, "ACCESS_TOKEN_EXPIRED", "invalid authentication"),
        (failures.validation_required(), 403, "VALIDATION_REQUIRED", "Verify your account"),
        (failures.tos_violation(), 403, "TOS_VIOLATION", "Terms of Service"),
        (failures.service_disabled(), 403, "SERVICE_DISABLED", "Cloud Code Private API"),
        (failures.security_policy(), 403, "SECURITY_POLICY_VIOLATED", "policy"),
        (failures.missing_licence(), 403, None, "#3501"),
        (failures.subscription_required(), 403, "SUBSCRIPTION_REQUIRED", "#3501"),
        (failures.no_permission(), 403, None, "caller does not have permission"),
        (failures.not_found(), 404, None, "Requested entity was not found."),
        (failures.corrupted_signature(), 400, None, "Corrupted thought signature"),
        (failures.schema_rejected("const"), 400, None, 'Unknown name "const"'),
        (failures.input_too_long(), 400, None, "exceeds the maximum number of tokens"),
        (failures.cancelled(), 499, None, "cancelled"),
        (failures.internal(), 500, None, "Internal error"),
        (failures.unavailable(), 503, None, "overloaded"),
        (failures.deadline(), 504, None, "timed out"),
        (failures.nested_message(), 503, None, "currently unavailable"),
    ],
)
async def test_refusals(failure: Failure, status: int, reason: str | None, words: str) -> None:
    response = await failing(failure)
    assert response.status_code == response.json()["error"]["code"] == status
    assert _reason(response) == reason
    assert words in message_of(response)


async def test_odd_bodies() -> None:
    page = await failing(failures.html())
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html; charset=UTF-8")
    array = await failing(failures.shared_capacity())
    assert array.json()[0]["error"]["errors"][0]["reason"] == "rateLimitExceeded"
    commas = await failing(failures.stray_commas())
    assert commas.status_code == 429
    with pytest.raises(ValueError, match="Expecting"):
        commas.json()


async def test_streams_that_turn_into_errors() -> None:
    assert events_of((await failing(failures.error_event())).content)[-1] == failures.UNAVAILABLE
    raw = (await failing(failures.raw_error())).content
    assert json.loads(raw.rpartition(b"\n\n")[2]) == failures.UNAVAILABLE


async def test_streams_that_stop_early() -> None:
    cut = (await failing(failures.truncated())).content
    assert not cut.endswith(b"\n")
    assert b"finishReason" not in cut
    with pytest.raises(httpx.RemoteProtocolError):
        await failing(failures.connection_cut())


def _last_candidate(events: list[Json]) -> Json:
    candidate: Json = events[-1]["response"]["candidates"][0]
    return candidate


@pytest.mark.parametrize(
    ("failure", "check"),
    [
        (failures.no_finish_reason(), lambda e: "finishReason" not in _last_candidate(e)),
        (
            failures.malformed_function_call(),
            lambda e: _last_candidate(e)["finishReason"] == "MALFORMED_FUNCTION_CALL",
        ),
        (failures.finishes("NEW_REASON"), lambda e: "NEW_REASON" in json.dumps(e[-1])),
        (
            failures.thinking_only(128),
            lambda e: (
                _last_candidate(e)["finishReason"] == "MAX_TOKENS"
                and e[-1]["response"]["usageMetadata"]["thoughtsTokenCount"] == 128
                and "candidatesTokenCount" not in e[-1]["response"]["usageMetadata"]
            ),
        ),
        (
            failures.prompt_blocked(),
            lambda e: (
                e[0]["response"]["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
                and "candidates" not in e[0]["response"]
            ),
        ),
        (failures.empty_candidates(), lambda e: e[0]["response"]["candidates"] == []),
        (failures.missing_response(), lambda e: "response" not in e[0] and "response" in e[1]),
        (failures.no_response_at_all(), lambda e: all("response" not in x for x in e)),
        (failures.unknown_part(), lambda e: "holographicData" in json.dumps(e[0])),
        (failures.no_usage(), lambda e: "usageMetadata" not in json.dumps(e)),
    ],
)
async def test_bent_answers(failure: Failure, check: Callable[[list[Json]], bool]) -> None:
    response = await failing(failure)
    assert response.status_code == 200
    assert check(events_of(response.content))


async def test_empty_candidates_without_an_envelope() -> None:
    events = events_of((await failing(failures.empty_candidates(), "gemini-api")).content)
    assert events[0]["candidates"] == []
