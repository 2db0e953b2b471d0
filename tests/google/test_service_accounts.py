"""Service accounts: a token for a signature, and for nothing less."""

from typing import Any

import httpx
import pytest
from google.auth import jwt
from google.auth.crypt import RSASigner

from tests.google.account import PROJECT
from tests.google.google import FakeGoogle
from tests.google.oauth import CLOUD_SCOPE, JWT_BEARER
from tests.google.service_accounts import new_key, verified_claims
from tests.support import asking

PRIVATE, PUBLIC = new_key()
NOW = 1_000_000


def signed(private_key: str = PRIVATE, **changes: Any) -> str:
    claims = {"iss": "sa@example.com", "iat": NOW, "exp": NOW + 3600, "scope": CLOUD_SCOPE}
    signer = RSASigner.from_string(private_key)  # type: ignore[no-untyped-call]
    return str(jwt.encode(signer, claims | changes).decode())  # type: ignore[no-untyped-call]


def test_a_signed_assertion_is_believed() -> None:
    assert verified_claims(signed(), {"sa@example.com": PUBLIC}, NOW)["scope"] == CLOUD_SCOPE


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        (signed(new_key()[0]), "Invalid JWT Signature."),
        (signed(iss="other@example.com"), "account not found"),
        (signed(iat=NOW - 7200, exp=NOW - 3600), "short-lived"),
        (signed(iat=NOW + 600), "short-lived"),
        ("a.b.c", "could not be parsed"),
        ("", "could not be parsed"),
    ],
)
def test_anything_else_is_not(assertion: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        verified_claims(assertion, {"sa@example.com": PUBLIC}, NOW)


async def test_the_token_endpoint_trades_it_for_an_access_token() -> None:
    google = FakeGoogle(now=lambda: NOW)
    key = google.oauth.service_account("http://google.test", PROJECT)
    assertion = signed(key["private_key"], iss=key["client_email"])

    async def trade(value: str) -> httpx.Response:
        form = {"grant_type": JWT_BEARER, "assertion": value}
        async with asking(google) as ask:
            return await ask.http.post("/token", data=form)

    answer = (await trade(assertion)).json()
    assert set(answer) == {"access_token", "expires_in", "token_type"}
    assert google.oauth.access[answer["access_token"]].scopes == (CLOUD_SCOPE,)
    refused = await trade(signed())
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
