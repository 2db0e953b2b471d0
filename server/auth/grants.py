"""Talking to an authorization server: signing in, renewing, whose account it is, signing out.

Codes, renewals and questions about the account travel as every other upstream request does, so they
pass the same proxies. Google's own libraries make the address to sign in at and read Application
Default Credentials; they cost 300 ms and 20 MB to import and block while they talk, so they are
imported late and run in a worker thread, over a client of ours. With ``adc`` this is the only
importer of google-auth, and the only one of google-auth-oauthlib and oauthlib.
"""

import asyncio
import base64
import contextlib
import logging
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx

from server import __version__
from server.auth.oauth_client import OAuthClient
from server.errors import UpstreamError
from server.json_codec import loads
from server.network.proxies import ProxyTimeoutError, blocking_client
from server.redaction import learn

SCOPES = (
    "openid",  # Google adds it to the answer, and oauthlib takes additions for an attack
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
)
TIMEOUT_S = 20.0
HEADERS: Mapping[str, str] = {"user-agent": f"gemini-api-proxy/{__version__}"}

TERMINAL = frozenset(
    {
        "invalid_grant",
        "invalid_rapt",
        "invalid_client",
        "unauthorized_client",
        "deleted_client",
        "disabled_client",
    }
)
"""Codes of the token endpoint that no retry will change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the token endpoint gave."""

    access_token: str
    refresh_token: str | None
    lifetime_s: float
    scopes: tuple[str, ...] = ()
    email: str | None = None
    """Whose it is, where the answer says so (``id_token``)."""

    def __post_init__(self) -> None:
        learn(self.access_token)
        learn(self.refresh_token, stay="sign-in")


UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ArithmeticError,
    OSError,
    RecursionError,
)
"""What google-auth raises for a file or an answer whose fields are of the wrong kind."""


class GrantRefusedError(Exception):
    """The token endpoint said no; ``code`` is its error code."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description


class GoogleGrants:
    """Talks to the authorization server of a client.

    Raises ``GrantRefusedError`` when the server refuses, ``UpstreamError`` when it cannot be asked.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    def new_verifier(self) -> str:
        """A PKCE code verifier (RFC 7636, section 4.1)."""
        return secrets.token_urlsafe(64)

    def authorization_url(
        self, client: OAuthClient, redirect_uri: str, state: str, verifier: str
    ) -> str:
        """Google's own address to sign in at, with the S256 challenge of ``verifier``.

        Consent is always asked for: without it Google sends no refresh token the second time.
        """
        flow = _flow(client, redirect_uri, verifier)
        url, _ = flow.authorization_url(state=state, access_type="offline", prompt="consent")
        return str(url)

    async def exchange(
        self, client: OAuthClient, redirect_uri: str, verifier: str, code: str
    ) -> Grant:
        """Trade the one-time code for tokens (RFC 6749, section 4.1.3; RFC 7636, section 4.5)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
        }
        status, answer = await self._ask("POST", client.token_uri, form=form)
        if status != 200:
            refused = _text(answer.get("error"))
            if refused is None:
                raise _unreachable(client.token_uri, f"status {status}")
            raise GrantRefusedError(refused, str(answer.get("error_description") or ""))
        return replace(_grant(client, answer), scopes=_scopes(answer.get("scope")))

    async def refresh(self, client: OAuthClient, refresh_token: str) -> Grant:
        """Get a new access token (RFC 6749, section 6)."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
        }
        status, answer = await self._ask("POST", client.token_uri, form=form)
        if status != 200:
            raise refusal(answer) or _unreachable(client.token_uri, f"status {status}")
        return _grant(client, answer)

    async def revoke(self, client: OAuthClient, token: str) -> None:
        """Tell the server to forget a sign-in (RFC 7009)."""
        status, _ = await self._ask("POST", client.revoke_uri, form={"token": token})
        if status != 200:
            raise _answered(client.revoke_uri, status)

    async def email(self, client: OAuthClient, access_token: str) -> str | None:
        """Whose account it is."""
        held = {"authorization": f"Bearer {access_token}"}
        status, answer = await self._ask("GET", client.userinfo_uri, headers=held)
        if status != 200:
            raise _answered(client.userinfo_uri, status)
        return _text(answer.get("email"))

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON object of an answer; an empty one for whatever is none."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                request = self._http.build_request(
                    method,
                    url,
                    data=form,
                    headers={**HEADERS, **(headers or {})},
                    timeout=TIMEOUT_S,
                )
                response = await self._http.send(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _unreachable(url, error) from error
        try:
            answer = loads(response.content)
        except ValueError:
            answer = None
        return response.status_code, answer if isinstance(answer, dict) else {}


def _grant(client: OAuthClient, answer: Mapping[str, Any]) -> Grant:
    """The tokens in an answer of the token endpoint (RFC 6749, section 5.1)."""
    return Grant(
        access_token=_text(answer.get("access_token")) or _no_token(client),
        refresh_token=_text(answer.get("refresh_token")),
        lifetime_s=_seconds(answer.get("expires_in")),
        email=email_in(_text(answer.get("id_token"))),
    )


def _scopes(value: object) -> tuple[str, ...]:
    """What was granted: one text with spaces, by the standard; some servers send a list."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(filter(None, map(_text, value))) if isinstance(value, list) else ()


def _seconds(value: object) -> float:
    """How long a token lasts, as the server writes it; 0 where it does not say."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _no_token(client: OAuthClient) -> str:
    raise UpstreamError(f"{urlsplit(client.token_uri).hostname} answered without an access token.")


def _flow(client: OAuthClient, redirect_uri: str, verifier: str) -> Any:
    from google_auth_oauthlib.flow import Flow  # noqa: PLC0415

    # These libraries write tokens to the log at DEBUG.
    for name in ("oauthlib", "requests_oauthlib"):
        logging.getLogger(name).setLevel(logging.INFO)
    # oauthlib has no other switch. http is only ever a loopback address, because make_client() lets
    # no other pass.
    if "http" in (urlsplit(client.auth_uri).scheme, urlsplit(client.token_uri).scheme):
        os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    return Flow.from_client_config(
        client.config(),
        scopes=list(SCOPES),
        redirect_uri=redirect_uri,
        code_verifier=verifier,
        autogenerate_code_verifier=False,
    )


def renew(held: Any, token_uri: str) -> None:
    """Give credentials of google-auth's a new token.

    Raises ``GrantRefusedError`` or ``UpstreamError``, as ``GoogleGrants`` does.
    """
    from google.auth.exceptions import RefreshError, TransportError  # noqa: PLC0415

    with google_transport() as send:
        try:
            held.refresh(send)
        except RefreshError as error:
            raise _refused(error, token_uri) from error
        except (TransportError, *UNREADABLE) as error:
            raise _unreachable(token_uri, error) from error


@contextlib.contextmanager
def google_transport() -> Iterator[Any]:
    """What google-auth sends its requests with: our own client, proxies and certificates.

    A ``google.auth.transport.Request``: called with the parts of a request, it returns an object
    with ``status``, ``headers`` and ``data``.
    """
    from google.auth.exceptions import TransportError  # noqa: PLC0415

    with blocking_client() as http:

        def send(
            url: str,
            method: str = "GET",
            body: bytes | str | None = None,
            headers: Mapping[str, str] | None = None,
            timeout: float | None = None,
            **ignored: object,
        ) -> SimpleNamespace:
            sent = {**HEADERS, **(headers or {})}
            try:
                answer = http.request(
                    method, url, content=body, headers=sent, timeout=timeout or TIMEOUT_S
                )
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise TransportError(error) from error  # type: ignore[no-untyped-call]
            return SimpleNamespace(
                status=answer.status_code, headers=answer.headers, data=answer.content
            )

        yield send


def lifetime_s(expiry: datetime | None) -> float:
    """Seconds from now; google-auth gives the instant in UTC, without saying so."""
    if expiry is None:
        return 0.0
    return (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()


def email_in(id_token: str | None) -> str | None:
    """The address in an id token; it came over TLS from Google, so nothing is verified."""
    payload = (id_token or "").split(".")[1:2]
    try:
        claims = loads(base64.urlsafe_b64decode(payload[0] + "==")) if payload else None
    except ValueError:
        return None
    return _text(claims.get("email")) if isinstance(claims, dict) else None


def refusal(answer: object) -> GrantRefusedError | None:
    """The refusal in an answer of the token endpoint, where no retry will change it."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("error"), str):
        return None
    code, subtype = answer["error"], answer.get("error_subtype")
    if subtype in (
        "invalid_rapt",
        "rapt_required",
    ):  # an administrator wants people to sign in anew
        code = "invalid_rapt"
    return (
        GrantRefusedError(code, str(answer.get("error_description") or ""))
        if code in TERMINAL
        else None
    )


def _refused(error: Exception, token_uri: str) -> GrantRefusedError | UpstreamError:
    """A refresh of google-auth's that failed: refused for good, or only not answered properly."""
    found = refusal(error.args[1]) if len(error.args) > 1 else None
    if found is None and "reauthentication" in str(error).lower():
        found = GrantRefusedError("invalid_rapt")
    return found or _unreachable(token_uri, error)


def _answered(url: str, status: int) -> UpstreamError:
    return UpstreamError(f"{urlsplit(url).hostname} answered {status}.")


def _unreachable(url: str, reason: Exception | str) -> UpstreamError:
    host = urlsplit(url).hostname
    if isinstance(reason, ProxyTimeoutError):
        return UpstreamError(
            f"Google's sign-in service ({host}) could not be reached in time through the proxy "
            f"{reason}. Check it."
        )
    late = isinstance(reason, httpx.TimeoutException | TimeoutError)
    if late or "timed out" in str(reason).lower():
        return UpstreamError(
            f"Google's sign-in service ({host}) did not answer within {TIMEOUT_S:.0f} s. Behind a "
            "proxy, set HTTPS_PROXY."
        )
    in_words = isinstance(reason, str | httpx.ProxyError)
    why = str(reason) if in_words else type(reason).__name__
    return UpstreamError(
        f"Google's sign-in service ({host}) could not be asked ({why}). Check the network; behind "
        "a proxy, set HTTPS_PROXY."
    )
