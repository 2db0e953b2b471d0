"""The Code Assist door: who may enter, envelopes, the account's own calls."""

import pytest

from tests.google import account
from tests.google.account import MANAGED_PROJECT, PROJECT
from tests.google.google import FakeGoogle
from tests.google.oauth import EMAIL_SCOPE
from tests.support import asking, events_of, message_of, texts_of, user

METADATA = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}
HELLO = {"contents": [user("hello")]}


async def test_a_correct_client_gets_a_stream_in_envelopes() -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.envelope(HELLO | {"session_id": "s"})
        events = events_of(response.content)
    assert response.headers["content-type"] == "text/event-stream"
    assert texts_of([event["response"] for event in events]) == "You said: hello"
    assert all("traceId" in event for event in events)
    assert events[-1]["response"]["usageMetadata"]["totalTokenCount"] > 0


async def test_unary_answers_are_wrapped_too() -> None:
    async with asking(FakeGoogle()) as ask:
        body = (await ask.envelope(HELLO, stream=False)).json()
    assert texts_of([body["response"]]) == "You said: hello"


async def test_a_token_is_needed_and_must_be_alive() -> None:
    google = FakeGoogle()
    async with asking(google) as ask:
        missing = await ask.http.post("/v1internal:loadCodeAssist", json={"metadata": METADATA})
        google.oauth.expire_access()
        expired = await ask.envelope(HELLO)
    assert (missing.status_code, expired.status_code) == (401, 401)
    assert missing.json()["error"]["details"][0]["reason"] == "CREDENTIALS_MISSING"
    assert expired.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_EXPIRED"
    assert "invalid_token" in expired.headers["www-authenticate"]


async def test_a_token_without_the_cloud_scope_is_refused() -> None:
    google = FakeGoogle()
    async with asking(google) as ask:
        token = google.oauth.sign_in(scopes=(EMAIL_SCOPE,))["access_token"]
        ask.headers = {"authorization": f"Bearer {token}"}
        response = await ask.envelope(HELLO)
    assert response.status_code == 403
    assert "insufficient authentication scopes" in message_of(response)


async def test_another_oauth_client_cannot_reach_the_private_api() -> None:
    google = FakeGoogle()
    google.oauth.clients["own-client"] = "secret"
    async with asking(google) as ask:
        token = google.oauth.sign_in(client_id="own-client")["access_token"]
        ask.headers = {"authorization": f"Bearer {token}"}
        response = await ask.envelope(HELLO)
    assert response.json()["error"]["details"][0]["reason"] == "SERVICE_DISABLED"


async def test_a_quota_project_header_is_refused() -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.code_assist(
            "loadCodeAssist", {"metadata": METADATA}, **{"x-goog-user-project": "mine"}
        )
    assert response.status_code == 403
    assert response.json()["error"]["details"][0]["reason"] == "SERVICE_DISABLED"
    assert "project mine" in message_of(response)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "gemini-9", "project": PROJECT, "request": HELLO}, 404, "not found"),
        ({"model": "models/gemini-2.5-pro", "project": PROJECT, "request": HELLO}, 404, "not"),
        ({"model": "gemini-2.5-pro", "project": "other", "request": HELLO}, 403, "permission"),
        ({"model": "gemini-2.5-pro", "request": HELLO}, 403, "permission"),
        (
            {"model": "gemini-2.5-pro", "project": PROJECT, "stream": True, "request": HELLO},
            400,
            'Unknown name "stream"',
        ),
        ({"model": "gemini-2.5-pro", "project": PROJECT}, 400, "contents is not specified"),
        (HELLO, 400, 'Unknown name "contents"'),
    ],
)
async def test_wrong_envelopes(body: dict[str, object], status: int, words: str) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.code_assist("generateContent", body)
    assert response.status_code == status
    assert words in message_of(response)


async def test_count_tokens_takes_the_model_inside_and_answers_unwrapped() -> None:
    body = {"model": "models/gemini-3-flash-preview", **HELLO}
    async with asking(FakeGoogle()) as ask:
        counted = await ask.code_assist("countTokens", {"request": body})
        bare = await ask.code_assist(
            "countTokens", {"request": {**body, "model": "gemini-3-flash"}}
        )
        extra = await ask.code_assist("countTokens", {"request": {**body, "tools": []}})
    assert counted.json() == {"totalTokens": 2}
    assert bare.status_code == 404
    assert "Unknown name" in message_of(extra)


async def test_onboarding_a_new_user_takes_two_polls() -> None:
    google = FakeGoogle(account=account.new_user())
    async with asking(google) as ask:
        loaded = (await ask.code_assist("loadCodeAssist", {"metadata": METADATA})).json()
        refused = await ask.envelope(HELLO)
        onboard = {"tierId": "free-tier", "metadata": METADATA}
        operation = (await ask.code_assist("onboardUser", onboard)).json()
        url = f"/v1internal/{operation['name']}"
        polls = [(await ask.http.get(url, headers=ask.headers)).json() for _ in range(2)]
        again = (await ask.code_assist("loadCodeAssist", {"metadata": METADATA})).json()
    assert "currentTier" not in loaded
    assert refused.status_code == 403
    assert [poll.get("done", False) for poll in (operation, *polls)] == [False, False, True]
    assert polls[1]["response"]["cloudaicompanionProject"]["id"] == MANAGED_PROJECT
    assert again["cloudaicompanionProject"] == MANAGED_PROJECT


async def test_quota_experiments_settings_and_what_there_is_not() -> None:
    google = FakeGoogle(quota={"gemini-2.5-pro": 0.5})
    async with asking(google) as ask:
        quota = (await ask.code_assist("retrieveUserQuota", {"project": PROJECT})).json()
        flags = (await ask.code_assist("listExperiments", {"project": PROJECT})).json()
        await ask.code_assist(
            "setCodeAssistGlobalUserSetting", {"freeTierDataCollectionOptin": True}
        )
        setting = await ask.http.get(
            "/v1internal:getCodeAssistGlobalUserSetting", headers=ask.headers
        )
        embedding = await ask.code_assist("embedContent", {})
    buckets = {bucket["modelId"]: bucket for bucket in quota["buckets"]}
    assert buckets["gemini-2.5-pro"]["remainingAmount"] == "500"
    assert "remainingAmount" not in buckets["gemini-2.5-flash"]
    assert flags["flags"]
    assert setting.json() == {"freeTierDataCollectionOptin": True}
    assert embedding.status_code == 404


async def test_what_a_licence_lacks_is_not_found_and_has_no_bucket() -> None:
    google = FakeGoogle()
    google.account.lacks = frozenset({"gemini-3.8-flash"})
    async with asking(google) as ask:
        lacking = await ask.envelope({"contents": [user("hi")]}, "gemini-3.8-flash")
        having = await ask.envelope({"contents": [user("hi")]}, "gemini-3.5-flash")
        quota = (await ask.code_assist("retrieveUserQuota", {"project": PROJECT})).json()
    assert (lacking.status_code, having.status_code) == (404, 200)
    assert message_of(lacking) == "Requested entity was not found."
    named = {bucket["modelId"] for bucket in quota["buckets"]}
    assert "gemini-3.5-flash" in named
    assert "gemini-3.8-flash" not in named
