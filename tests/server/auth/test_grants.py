"""Google's OAuth libraries against a strict authorization server on a loopback socket."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from server.auth.grants import GoogleGrants, GrantRefusedError
from server.auth.oauth_client import OAuthClient, parse_client
from server.errors import UpstreamError
from server.network.transport import make_client
from tests.google.failures import refuse, slow_first_byte
from tests.google.google import FakeGoogle
from tests.google.http import RawError
from tests.support import serve

REDIRECT = "http://127.0.0.1:8081/oauth2callback"


@dataclass
class Server:
    google: FakeGoogle
    client: OAuthClient
    grants: GoogleGrants

    async def consent(self, verifier: str, state: str = "s-1") -> dict[str, list[str]]:
        """What the browser brings back."""
        url = self.grants.authorization_url(self.client, REDIRECT, state, verifier)
        async with httpx.AsyncClient() as browser:
            response = await browser.get(url)
        assert response.status_code == 302, response.text
        location = response.headers["location"]
        assert location.startswith(REDIRECT)
        return parse_qs(urlsplit(location).query)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    google = FakeGoogle()
    async with serve(google) as base, make_client() as http:
        client = parse_client(json.dumps(google.oauth.client_config(base)))
        yield Server(google, client, GoogleGrants(http))


async def test_a_code_becomes_tokens_and_tokens_become_fresh_ones(server: Server) -> None:
    grants, client = server.grants, server.client
    verifier = grants.new_verifier()
    answer = await server.consent(verifier)
    assert answer["state"] == ["s-1"]
    grant = await grants.exchange(client, REDIRECT, verifier, answer["code"][0])
    assert grant.refresh_token
    assert 3500 < grant.lifetime_s <= 3600
    assert "https://www.googleapis.com/auth/cloud-platform" in grant.scopes
    email = await grants.email(client, grant.access_token)
    assert email == server.google.oauth.email
    fresh = await grants.refresh(client, grant.refresh_token)
    assert fresh.access_token != grant.access_token
    assert fresh.refresh_token is None  # the one at hand stays good
    assert fresh.email == server.google.oauth.email
    await grants.revoke(client, grant.refresh_token)
    with pytest.raises(GrantRefusedError) as caught:
        await grants.refresh(client, grant.refresh_token)
    assert caught.value.code == "invalid_grant"


async def test_the_address_asks_for_what_google_needs_to_hear(server: Server) -> None:
    url = server.grants.authorization_url(server.client, REDIRECT, "s-1", "v" * 64)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(server.client.auth_uri)
    assert query["client_id"] == server.client.client_id
    assert query["code_challenge_method"] == "S256"
    assert query["access_type"] == "offline"
    assert query["prompt"] == "consent"
    assert query["state"] == "s-1"
    assert query["redirect_uri"] == REDIRECT
    assert "openid" in query["scope"].split()


async def test_a_code_works_once(server: Server) -> None:
    verifier = server.grants.new_verifier()
    code = (await server.consent(verifier))["code"][0]
    await server.grants.exchange(server.client, REDIRECT, verifier, code)
    with pytest.raises(GrantRefusedError) as caught:
        await server.grants.exchange(server.client, REDIRECT, verifier, code)
    assert caught.value.code == "invalid_grant"


async def test_another_verifier_is_refused(server: Server) -> None:
    code = (await server.consent(server.grants.new_verifier()))["code"][0]
    with pytest.raises(GrantRefusedError):
        await server.grants.exchange(server.client, REDIRECT, server.grants.new_verifier(), code)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"error": "invalid_grant", "error_description": "Bad Request"}, "invalid_grant"),
        (400, {"error": "invalid_grant", "error_subtype": "invalid_rapt"}, "invalid_rapt"),
        (401, {"error": "invalid_client"}, "invalid_client"),
        (401, {"error": "unauthorized_client"}, "unauthorized_client"),
    ],
)
async def test_terminal_refusals_of_a_refresh_have_their_code(
    server: Server, status: int, body: dict[str, str], code: str
) -> None:
    error = RawError(status, json.dumps(body).encode())
    server.google.fail(refuse(error), methods={"token"}, times=None)
    with pytest.raises(GrantRefusedError) as caught:
        await server.grants.refresh(server.client, "r-1")
    assert caught.value.code == code


@pytest.mark.parametrize("raw", [b"<html>Bad gateway</html>", b'{"error": "odd"}'])
async def test_an_unclear_refusal_ends_no_sign_in(server: Server, raw: bytes) -> None:
    server.google.fail(refuse(RawError(400, raw)), methods={"token"}, times=None)
    with pytest.raises(UpstreamError, match="could not be asked"):
        await server.grants.refresh(server.client, "r-1")


async def test_a_server_that_is_not_there_is_an_upstream_error() -> None:
    fields = {"client_id": "c", "client_secret": "s", "token_uri": "http://127.0.0.1:9/token"}
    client = parse_client(json.dumps({"installed": fields}))
    async with make_client() as http:
        grants = GoogleGrants(http)
        with pytest.raises(UpstreamError, match=r"127\.0\.0\.1"):
            await grants.refresh(client, "r-1")
        with pytest.raises(UpstreamError, match="could not be asked"):
            await grants.exchange(client, REDIRECT, "v" * 64, "code")
        with pytest.raises(UpstreamError):
            await grants.email(client, "a-1")
        with pytest.raises(UpstreamError):
            await grants.revoke(client, "a-1")


@pytest.mark.parametrize(
    ("answer", "lifetime_s", "email"),
    [
        ({"expires_in": "3599", "id_token": "a.b"}, 3599, None),
        ({"expires_in": 1e400, "id_token": "no dots"}, 0, None),
        ({"expires_in": "soon", "id_token": "e30.W10.x"}, 0, None),
        ({"id_token": "e30.eyJlbWFpbCI6ImFAYi5jIn0.x"}, 0, "a@b.c"),
        ({"id_token": 7, "refresh_token": ["r"]}, 0, None),
    ],
)
async def test_a_token_counts_whatever_else_the_answer_holds(
    server: Server, answer: dict[str, object], lifetime_s: float, email: str | None
) -> None:
    raw = json.dumps({"access_token": "an-access-token", **answer}).encode()
    server.google.fail(refuse(RawError(200, raw)), methods={"token"}, times=None)
    grant = await server.grants.refresh(server.client, "r-1")
    assert (grant.access_token, grant.refresh_token) == ("an-access-token", None)
    assert (grant.lifetime_s, grant.email) == (lifetime_s, email)


@pytest.mark.parametrize("raw", [b"{}", b"[]", b'{"access_token": ""}', b"<html>", b""])
async def test_an_answer_without_a_token_is_an_upstream_error(server: Server, raw: bytes) -> None:
    server.google.fail(refuse(RawError(200, raw)), methods={"token"}, times=None)
    with pytest.raises(UpstreamError, match="without an access token"):
        await server.grants.refresh(server.client, "r-1")


async def test_a_server_that_says_nothing_is_told_as_such(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.auth.grants.TIMEOUT_S", 0.05)
    server.google.fail(slow_first_byte(5.0), methods={"token"}, times=None)
    with pytest.raises(UpstreamError, match="did not answer within"):
        await server.grants.refresh(server.client, "r-1")


ASKING = """
import asyncio, contextlib, sys
from server.auth.oauth_client import make_client as client_of
from server.auth.grants import GoogleGrants
from server.network.transport import make_client

async def ask():
    nowhere = "http://127.0.0.1:9/token"
    client = client_of({"client_id": "c", "client_secret": "s", "token_uri": nowhere})
    async with make_client() as http:
        grants = GoogleGrants(http)
        for step in (grants.refresh, grants.email, grants.revoke):
            with contextlib.suppress(Exception):
                await step(client, "t")

asyncio.run(ask())
heavy = ("google.auth", "google.oauth2", "requests", "oauthlib", "cryptography")
print([name for name in heavy if name in sys.modules])
"""


async def test_renewing_a_sign_in_needs_none_of_googles_libraries() -> None:
    """They cost 300 ms and 20 MB, which only whoever signs in should pay."""
    script = ASKING
    found = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
