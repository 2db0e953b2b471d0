"""The blocking calls of Google's OAuth libraries, in our words.

With ``adc`` the only importer of google-auth, and the only one of google-auth-oauthlib and
oauthlib. They cost 300 ms to import and block while they talk, so everything here is imported late
and runs in a worker thread.
"""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from server.errors import UpstreamError
from server.json_codec import loads
from server.oauth_client import OAuthClient
from server.redaction import learn

SCOPES = (
    "openid",  # Google adds it to the answer, and oauthlib takes additions for an attack
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/userinfo.profile",
)
TIMEOUT_S = 20.0

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
        learn(self.access_token, self.refresh_token)


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
    """Talks to the authorization server of a client. Every method but the first two blocks.

    Raises ``GrantRefusedError`` when the server refuses, ``UpstreamError`` when it cannot be asked.
    """

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

    def exchange(self, client: OAuthClient, redirect_uri: str, verifier: str, code: str) -> Grant:
        """Trade the one-time code for tokens."""
        import requests  # noqa: PLC0415
        from oauthlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]  # noqa: PLC0415

        flow = _flow(client, redirect_uri, verifier)
        with contextlib.closing(flow.oauth2session):
            try:
                answer = flow.fetch_token(code=code, include_client_id=True, timeout=TIMEOUT_S)
                expiry = flow.credentials.expiry
            except OAuth2Error as error:
                raise GrantRefusedError(str(error.error), str(error.description or "")) from error
            except (requests.RequestException, *UNREADABLE) as error:
                raise _unreachable(client.token_uri, error) from error
        scope = answer.get("scope", ())
        return Grant(
            access_token=_text(answer["access_token"]) or _no_token(client),
            refresh_token=_text(answer.get("refresh_token")),
            lifetime_s=lifetime_s(expiry),
            scopes=tuple(scope.split() if isinstance(scope, str) else scope),
        )

    def refresh(self, client: OAuthClient, refresh_token: str) -> Grant:
        """Get a new access token."""
        from google.oauth2.credentials import Credentials  # noqa: PLC0415

        # Never with a quota project: Code Assist refuses the x-goog-user-project it would send.
        held = Credentials(
            token=None,
            refresh_token=refresh_token,
            token_uri=client.token_uri,
            client_id=client.client_id,
            client_secret=client.client_secret,
        )  # type: ignore[no-untyped-call]
        renew(held, client.token_uri)
        return Grant(
            access_token=_text(held.token) or _no_token(client),
            refresh_token=_text(held.refresh_token),
            lifetime_s=lifetime_s(held.expiry),
            email=_email_in(held.id_token),
        )

    def revoke(self, client: OAuthClient, token: str) -> None:
        """Tell the server to forget a sign-in."""
        form = urlencode({"token": token}).encode()
        self._ask(
            client.revoke_uri,
            method="POST",
            body=form,
            headers={"content-type": "application/x-www-form-urlencoded"},
        )

    def email(self, client: OAuthClient, access_token: str) -> str | None:
        """Whose account it is."""
        answer = self._ask(
            client.userinfo_uri,
            method="GET",
            headers={"authorization": f"Bearer {access_token}"},
        )
        try:
            email = loads(answer).get("email")
        except (ValueError, AttributeError):
            return None
        return email if isinstance(email, str) and email else None

    def _ask(self, url: str, **request: object) -> bytes:
        from google.auth.exceptions import TransportError  # noqa: PLC0415

        with google_transport() as send:
            try:
                response = send(url=url, **request)
            except TransportError as error:
                raise _unreachable(url, error) from error
        if response.status != 200:
            raise UpstreamError(f"{urlsplit(url).hostname} answered {response.status}.")
        return bytes(response.data)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _no_token(client: OAuthClient) -> str:
    raise UpstreamError(f"{urlsplit(client.token_uri).hostname} answered without an access token.")


def _flow(client: OAuthClient, redirect_uri: str, verifier: str) -> Any:
    from google_auth_oauthlib.flow import Flow  # noqa: PLC0415

    # These libraries write tokens to the log at DEBUG.
    for name in ("oauthlib", "requests_oauthlib"):
        logging.getLogger(name).setLevel(logging.INFO)
    # oauthlib has no other switches. A user may untick scopes, which SignIn checks itself; and
    # http is only ever a loopback address, because make_client() lets no other pass.
    os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"  # noqa: S105
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
    """google-auth's own HTTP, with a timeout, closed afterwards."""
    import requests  # noqa: PLC0415
    from google.auth.transport.requests import Request  # noqa: PLC0415

    with requests.Session() as session:
        yield partial(Request(session), timeout=TIMEOUT_S)


def lifetime_s(expiry: datetime | None) -> float:
    """Seconds from now; google-auth gives the instant in UTC, without saying so."""
    if expiry is None:
        return 0.0
    return (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()


def _email_in(id_token: str | None) -> str | None:
    """The address in an id token; it came over TLS from Google, so nothing is verified."""
    if not id_token:
        return None
    from google.auth import jwt  # noqa: PLC0415

    try:
        email = jwt.decode(id_token, verify=False).get("email")  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    return email if isinstance(email, str) and email else None


def _refused(error: Exception, token_uri: str) -> GrantRefusedError | UpstreamError:
    """A refresh that failed: refused for good, or only not answered properly."""
    answer = error.args[1] if len(error.args) > 1 else None
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        code = str(answer.get("error_subtype") or answer["error"])
        code = code if code in TERMINAL else answer["error"]
        if code in TERMINAL:
            return GrantRefusedError(code, str(answer.get("error_description") or ""))
    if "reauthentication" in str(error).lower():
        return GrantRefusedError("invalid_rapt")
    return _unreachable(token_uri, error)


def _unreachable(url: str, error: Exception) -> UpstreamError:
    host = urlsplit(url).hostname
    if "timed out" in str(error).lower():
        return UpstreamError(
            f"Google's sign-in service ({host}) did not answer within {TIMEOUT_S:.0f} s. Behind a "
            "proxy, set HTTPS_PROXY."
        )
    return UpstreamError(
        f"Google's sign-in service ({host}) could not be asked ({type(error).__name__}). Check the "
        "network; behind a proxy, set HTTPS_PROXY."
    )
