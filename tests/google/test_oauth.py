"""Sign-in as strict as Google's: codes, PKCE, redirects, rotation, revocation."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google.auth.transport.requests
import google.oauth2.credentials
import httpx
import pytest
import requests

from tests.google.google import FakeGoogle
from tests.google.oauth import CLIENT_ID, CLIENT_SECRET, EMAIL_SCOPE, SCOPES, s256
from tests.support import Asking, asking, serve

Json = dict[str, Any]

VERIFIER = "v" * 43
REDIRECT = "http://127.0.0.1:43121/oauth2callback"


def leg_one(**changes: str) -> dict[str, str]:
    return {
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": " ".join(SCOPES),
        "access_type": "offline",
        "state": "s-1",
        "code_challenge": s256(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }


def leg_two(code: str, **changes: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "code_verifier": VERIFIER,
        **changes,
    }


async def agree(ask: Asking, **changes: str) -> dict[str, str]:
    """Press "Allow"; the values that come back to the loopback."""
    response = await ask.http.get("/o/oauth2/v2/auth", params=leg_one(**changes))
    assert response.status_code == 302
    location = urlsplit(response.headers["location"])
    assert location.netloc == urlsplit(REDIRECT).netloc
    return {name: values[0] for name, values in parse_qs(location.query).items()}


async def token(ask: Asking, **form: str) -> httpx.Response:
    return await ask.http.post("/token", data=form)


async def test_the_whole_sign_in() -> None:
    async with asking(FakeGoogle()) as ask:
        back = await agree(ask)
        answer = (await token(ask, **leg_two(back["code"]))).json()
        bearer = {"authorization": f"Bearer {answer['access_token']}"}
        info = (await ask.http.get("/oauth2/v2/userinfo", headers=bearer)).json()
        alive = await ask.http.get("/tokeninfo", params={"access_token": answer["access_token"]})
    assert back["state"] == "s-1"
    assert answer["token_type"] == "Bearer"
    assert answer["refresh_token"].startswith("1//")
    assert {*answer["scope"].split()} == {*SCOPES, "openid"}
    assert answer["scope"].split()[: len(SCOPES)] != list(SCOPES)
    assert info["email"] == "demo@example.com"
    assert alive.status_code == 200


async def test_a_refresh_token_comes_with_the_first_consent_only() -> None:
    async with asking(FakeGoogle()) as ask:
        answers = []
        for prompt in ("", "", "consent"):
            code = (await agree(ask, prompt=prompt))["code"]
            answers.append((await token(ask, **leg_two(code))).json())
    assert ["refresh_token" in answer for answer in answers] == [True, False, True]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"client_id": "stranger"}, 401, "invalid_client"),
        ({"redirect_uri": "http://192.0.2.1/cb"}, 400, "redirect_uri_mismatch"),
        ({"response_type": "token"}, 400, "invalid_request"),
        ({"scope": ""}, 400, "invalid_request"),
        ({"code_challenge_method": "plain"}, 400, "invalid_request"),
    ],
)
async def test_wrong_first_legs(changes: dict[str, str], status: int, words: str) -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.http.get("/o/oauth2/v2/auth", params=leg_one(**changes))
    assert response.status_code == status
    assert words in response.text


async def test_embedded_browsers_are_turned_away() -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.http.get(
            "/o/oauth2/v2/auth", params=leg_one(), headers={"user-agent": "Mozilla pywebview"}
        )
    assert response.status_code == 403
    assert "disallowed_useragent" in response.text


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"code": "4/other"}, 400, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:1/oauth2callback"}, 400, "redirect_uri_mismatch"),
        ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
        ({"code_verifier": ""}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_wrong_second_legs(changes: dict[str, str], status: int, error: str) -> None:
    async with asking(FakeGoogle()) as ask:
        code = (await agree(ask))["code"]
        response = await token(ask, **(leg_two(code) | changes))
    assert (response.status_code, response.json()["error"]) == (status, error)


async def test_a_code_works_once_and_not_for_ever() -> None:
    now = 1000.0
    google = FakeGoogle(now=lambda: now)
    async with asking(google) as ask:
        code = (await agree(ask))["code"]
        assert (await token(ask, **leg_two(code))).status_code == 200
        assert (await token(ask, **leg_two(code))).status_code == 400
        late = (await agree(ask))["code"]
        now += 601
        assert (await token(ask, **leg_two(late))).status_code == 400


async def test_cancelling_comes_back_as_an_error() -> None:
    google = FakeGoogle()
    google.oauth.refuse_consent = "access_denied"
    async with asking(google) as ask:
        assert await agree(ask) == {"error": "access_denied", "state": "s-1"}


async def test_a_page_shows_the_code_for_pasting() -> None:
    async with asking(FakeGoogle()) as ask:
        page = "https://pages.example.com/authcode"
        response = await ask.http.get("/o/oauth2/v2/auth", params=leg_one(redirect_uri=page))
    assert response.status_code == 200
    assert "4/0fake-code" in response.text


async def test_refreshing_gives_a_new_access_token_until_revoked() -> None:
    async with asking(FakeGoogle()) as ask:
        signed_in = ask.google.oauth.sign_in()
        form = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
        form |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        fresh = (await token(ask, **form)).json()
        revoked = await ask.http.post("/revoke", data={"token": signed_in["refresh_token"]})
        again = await ask.http.post("/revoke", data={"token": signed_in["refresh_token"]})
        refused = await token(ask, **form)
        dead = await ask.http.get("/tokeninfo", params={"access_token": fresh["access_token"]})
    assert fresh["access_token"] != signed_in["access_token"]
    assert "refresh_token" not in fresh
    assert (revoked.status_code, again.status_code) == (200, 400)
    assert refused.json()["error"] == "invalid_grant"
    assert dead.status_code == 400


async def test_an_access_token_revokes_the_whole_grant_too() -> None:
    async with asking(FakeGoogle()) as ask:
        signed_in = ask.google.oauth.sign_in()
        await ask.http.post("/revoke", data={"token": signed_in["access_token"]})
        assert signed_in["refresh_token"] not in ask.google.oauth.refresh


async def test_userinfo_wants_its_scope() -> None:
    google = FakeGoogle()
    async with asking(google) as ask:
        bearer = google.oauth.sign_in(scopes=("other",))["access_token"]
        headers = {"authorization": f"Bearer {bearer}"}
        assert (await ask.http.get("/oauth2/v2/userinfo", headers=headers)).status_code == 401
    assert EMAIL_SCOPE in SCOPES


async def test_the_body_must_be_a_form() -> None:
    async with asking(FakeGoogle()) as ask:
        response = await ask.http.post("/token", json={"grant_type": "refresh_token"})
    assert response.json()["error"] == "invalid_request"


async def test_google_auth_itself_can_refresh_here() -> None:
    """The official library is the judge of the token endpoint."""
    google_ = FakeGoogle()
    async with serve(google_) as base_url:
        info = google_.oauth.credentials(base_url)
        # ``from_authorized_user_info`` would put Google's own token_uri in place of the file's.
        fields = {k: v for k, v in info.items() if k != "expiry"}
        credentials = google.oauth2.credentials.Credentials(**fields)  # type: ignore[no-untyped-call]
        with requests.Session() as session:
            transport = google.auth.transport.requests.Request(session)
            await asyncio.to_thread(credentials.refresh, transport)
    assert credentials.token != info["token"]
