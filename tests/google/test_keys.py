"""Keys of different histories, and the exact words by which Google refuses them."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.google import keys
from tests.google.google import FakeGoogle
from tests.google.http import FakeRequest
from tests.google.keys import NEW_FREE, NEW_PAID, OLD_FREE, OLD_PAID, Key
from tests.support import asking, events_of, message_of, user

Json = dict[str, Any]
HELLO: Json = {"contents": [user("hello")]}


def on(day: str, history: Key) -> FakeGoogle:
    """A Google on a day, whose key has this past."""
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    return FakeGoogle(now=lambda: moment, history=history)


async def asked(google: FakeGoogle, model: str, method: str = "generateContent") -> httpx.Response:
    async with asking(google) as ask:
        return await ask.gemini(HELLO, model, method)


@pytest.mark.parametrize("history", [NEW_FREE, NEW_PAID])
@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent", "countTokens"])
async def test_a_new_key_is_refused_what_the_list_still_shows(history: Key, method: str) -> None:
    google = on("2026-11-28", history)
    response = await asked(google, "gemini-2.5-flash", method)
    async with asking(google) as ask:
        listed = (await ask.http.get("/v1beta/models?pageSize=1000", headers=ask.key)).json()
        one = await ask.http.get("/v1beta/models/gemini-2.5-flash", headers=ask.key)
    assert response.status_code == 404
    assert response.json()["error"] == {
        "code": 404,
        "message": "This model models/gemini-2.5-flash is no longer available to new users. Please "
        "update your code to use a newer model for the latest features and improvements. We "
        "recommend you to use the Interactions API "
        "(https://ai.google.dev/gemini-api/docs/migrate-to-interactions).",
        "status": "NOT_FOUND",
    }
    assert "models/gemini-2.5-flash" in [entry["name"] for entry in listed["models"]]
    assert one.status_code == 200


@pytest.mark.parametrize("history", [OLD_FREE, OLD_PAID])
async def test_an_old_key_goes_on_and_is_routed_from_december_on(history: Key) -> None:
    before = await asked(on("2026-11-30", history), "gemini-2.5-pro")
    after = await asked(on("2026-12-01", history), "gemini-2.5-pro")
    assert before.json()["modelVersion"] == "gemini-2.5-pro"
    assert before.json()["modelStatus"] == {
        "modelStage": "LEGACY",
        "message": "Use a newer model.",
        "retirementTime": "2026-12-01T00:00:00Z",
    }
    assert after.json()["modelVersion"] == "gemini-3.8-flash"
    assert "modelStatus" not in after.json()


async def test_a_route_names_its_target_in_every_event_and_brings_the_targets_rules() -> None:
    google = on("2026-11-28", NEW_FREE)
    async with asking(google) as ask:
        stream = await ask.gemini(HELLO, "gemini-3.5-flash", "streamGenerateContent?alt=sse")
        prefill = HELLO | {"contents": [user("hi"), {"role": "model", "parts": [{"text": "a"}]}]}
        refused = await ask.gemini(prefill, "gemini-3.5-flash")
    assert {event["modelVersion"] for event in events_of(stream.content)} == {"gemini-3.6-flash"}
    assert "end with a user role" in message_of(refused)


@pytest.mark.parametrize("history", [NEW_FREE, OLD_FREE])
async def test_a_paid_model_has_the_limit_0_for_a_free_key(history: Key) -> None:
    response = await asked(on("2026-11-28", history), "gemini-3.1-pro-preview")
    error = response.json()["error"]
    assert (response.status_code, error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert error["message"].split("\n")[1:] == [
        "* Quota exceeded for metric: generativelanguage.googleapis.com/"
        "generate_content_free_tier_input_token_count, limit: 0, model: gemini-3.1-pro",
        "* Quota exceeded for metric: generativelanguage.googleapis.com/"
        "generate_content_free_tier_requests, limit: 0, model: gemini-3.1-pro",
        "Please retry in 10.673410956s.",
    ]
    kinds = [detail["@type"].rpartition(".")[2] for detail in error["details"]]
    assert kinds == ["Help", "QuotaFailure", "RetryInfo"]
    assert error["details"][2]["retryDelay"] == "10s"
    paid = await asked(on("2026-11-28", NEW_PAID), "gemini-3.1-pro-preview")
    assert paid.status_code == 200


async def test_the_latest_pro_is_a_paid_model() -> None:
    assert (await asked(on("2026-11-28", NEW_FREE), "gemini-pro-latest")).status_code == 429
    assert (await asked(on("2026-11-28", NEW_FREE), "gemini-flash-latest")).status_code == 200


REFUSALS = {
    "invalid": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "expired": (400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."),
    "leaked": (
        403,
        "PERMISSION_DENIED",
        "Your API key was reported as leaked. Please use another API key.",
    ),
    "blocked": (
        403,
        "PERMISSION_DENIED",
        "Requests to this API generativelanguage.googleapis.com method "
        "google.ai.generativelanguage.v1beta.GenerativeService.GenerateContent are blocked.",
    ),
    "standard": (
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
        "cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
    ),
    "location": (
        400,
        "FAILED_PRECONDITION",
        "User location is not supported for the API use.",
    ),
}
REASONS = {
    "invalid": "API_KEY_INVALID",
    "expired": "API_KEY_INVALID",
    "blocked": "API_KEY_SERVICE_BLOCKED",
    "standard": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_each_refusal_of_a_key_has_its_words(case: keys.Refused) -> None:
    response = await asked(on("2026-11-28", Key(refused=case)), "gemini-3.8-flash")
    error = response.json()["error"]
    assert (response.status_code, error["status"], error["message"]) == REFUSALS[case]
    reasons = [detail["reason"] for detail in error.get("details", ())]
    assert reasons == ([REASONS[case]] if case in REASONS else [])


async def test_keys_nobody_issued() -> None:
    async with asking(FakeGoogle()) as ask:
        ask.key = {"x-goog-api-key": "AIza-nonsense"}
        bad = await ask.gemini(HELLO, "gemini-3.8-flash")
        ask.key = {"x-goog-api-key": "AQ.broken"}
        broken = await ask.gemini(HELLO, "gemini-3.8-flash")
    assert (bad.status_code, broken.status_code) == (400, 401)


async def test_two_credentials_are_one_too_many() -> None:
    async with asking(FakeGoogle()) as ask:
        ask.key |= ask.headers
        response = await ask.gemini(HELLO, "gemini-3.8-flash")
    assert response.status_code == 400
    assert message_of(response).startswith("Multiple authentication credentials received")


async def test_single_keys_have_pasts_of_their_own() -> None:
    google = on("2026-11-28", NEW_FREE)
    google.keys = {"rich": NEW_PAID, "gone": keys.LEAKED}
    async with asking(google) as ask:
        answers = []
        for key in ("fake-api-key", "rich", "gone"):
            ask.key = {"x-goog-api-key": key}
            answers.append((await ask.gemini(HELLO, "gemini-4-neon")).status_code)
    assert answers == [429, 200, 403]


def test_a_refusal_names_the_method_it_was_about() -> None:
    request = FakeRequest(method="GET", path="/v1beta/models")
    error = keys.refusal(keys.BLOCKED, request)
    assert error is not None
    assert "ModelService.ListModels are blocked" in json.dumps(error.error)
