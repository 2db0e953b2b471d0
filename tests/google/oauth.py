"""Google's sign-in: authorize, token, revoke, tokeninfo and userinfo.

As strict as the real one: PKCE S256, the same redirect in both legs, codes that work once, a
refresh token only with the first consent (or ``prompt=consent``), scopes answered in another order
with ``openid`` added. Sources: RFC 6749, 7636, 8252; google-auth-library 10.9; oauthlib 4.0.
"""

import base64
import hashlib
import html
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

from server.demo.errors import GoogleError, Json
from tests.google.http import FakeRequest, FakeResponse, RawError, once, respond
from tests.google.service_accounts import new_key, verified_claims

CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
EMAIL_SCOPE = "https://www.googleapis.com/auth/userinfo.email"
PROFILE_SCOPE = "https://www.googleapis.com/auth/userinfo.profile"
SCOPES = (CLOUD_SCOPE, EMAIL_SCOPE, PROFILE_SCOPE)

CLIENT_ID = "fake-client.apps.example.com"
CLIENT_SECRET = "fake-secret"
CODE_LIFE_S = 600
TOKEN_LIFE_S = 3599
AUTHORIZE, TOKEN, REVOKE = "/o/oauth2/v2/auth", "/token", "/revoke"
TOKENINFO, USERINFO = "/tokeninfo", "/oauth2/v2/userinfo"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_EMBEDDED = ("; wv)", "pywebview", "QtWebEngine", "Electron")


@dataclass(frozen=True, slots=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str | None
    scopes: tuple[str, ...]
    expires_at: float
    with_refresh: bool


@dataclass(slots=True)
class Grant:
    """One access or refresh token."""

    client_id: str
    scopes: tuple[str, ...]
    expires_at: float | None = None
    refresh_token: str | None = None
    """The refresh token an access token came from."""


@dataclass(slots=True)
class OAuth:
    """All accounts of this Google (there is one), its clients and the tokens given out."""

    now: Callable[[], float]
    email: str = "demo@example.com"
    clients: dict[str, str] = field(default_factory=lambda: {CLIENT_ID: CLIENT_SECRET})
    service_accounts: dict[str, str] = field(default_factory=dict)
    """Address -> public key (PEM)."""
    refuse_consent: str | None = None
    """The person presses "Cancel": the error sent back (``access_denied``)."""
    access: dict[str, Grant] = field(default_factory=dict)
    refresh: dict[str, Grant] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)
    _consented: set[str] = field(default_factory=set)
    _serial: int = 0

    # -- for tests ------------------------------------------------------------------------------

    def sign_in(self, scopes: tuple[str, ...] = SCOPES, client_id: str = CLIENT_ID) -> Json:
        """A token answer without the browser; it does not count as the first consent."""
        return self._answer(client_id, scopes, self._new_refresh(client_id, scopes))

    def credentials(self, base_url: str) -> Json:
        """Signs in; the google-auth *authorized_user* file of that sign-in."""
        answer = self.sign_in()
        expiry = datetime.fromtimestamp(self.now() + TOKEN_LIFE_S, UTC)
        return {
            "token": answer["access_token"],
            "refresh_token": answer["refresh_token"],
            "token_uri": base_url + TOKEN,
            "client_id": CLIENT_ID,
            "client_secret": self.clients[CLIENT_ID],
            "scopes": list(SCOPES),
            "expiry": expiry.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def service_account(self, base_url: str, project: str) -> Json:
        """Creates a service account; the key file the console would offer for it."""
        email = f"fake-{len(self.service_accounts) + 1}@{project}.iam.gserviceaccount.com"
        private_key, self.service_accounts[email] = new_key()
        return {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "fake-key",
            "private_key": private_key,
            "client_email": email,
            "token_uri": base_url + TOKEN,
        }

    def client_config(self, base_url: str) -> Json:
        """A client-secrets file that points here."""
        return {
            "installed": {
                "client_id": CLIENT_ID,
                "client_secret": self.clients[CLIENT_ID],
                "auth_uri": base_url + AUTHORIZE,
                "token_uri": base_url + TOKEN,
                "revoke_uri": base_url + REVOKE,
                "userinfo_uri": base_url + USERINFO,
                "redirect_uris": ["http://localhost"],
            }
        }

    def expire_access(self) -> None:
        """Every access token runs out now; refresh tokens stay good."""
        for grant in self.access.values():
            grant.expires_at = self.now() - 1

    def revoke_all(self) -> None:
        """As if the person had removed the app's access in the Google account."""
        self.access.clear()
        self.refresh.clear()

    def bearer(self, request: FakeRequest) -> Grant | None:
        """The living grant behind the Authorization header."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self.access.get(token) if kind.lower() == "bearer" else None
        return grant if grant and (grant.expires_at or 0) > self.now() else None

    # -- endpoints ------------------------------------------------------------------------------

    def authorize(self, request: FakeRequest) -> FakeResponse:
        """The consent page; the person agrees at once."""
        query = request.query
        agent = request.headers.get("user-agent", "")
        if any(mark in agent for mark in _EMBEDDED):
            raise _page_error(403, "disallowed_useragent", "This is an embedded user agent.")
        redirect = query.get("redirect_uri", "")
        if query.get("client_id") not in self.clients:
            raise _page_error(401, "invalid_client", "The OAuth client was not found.")
        if not _may_redirect(redirect):
            raise _page_error(400, "redirect_uri_mismatch", f"{redirect} is not registered.")
        if query.get("response_type") != "code" or not query.get("scope"):
            raise _page_error(400, "invalid_request", "response_type=code and scope are required.")
        if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
            raise _page_error(400, "invalid_request", "Only S256 challenges are accepted.")
        back = {"state": query["state"]} if "state" in query else {}
        if self.refuse_consent:
            return _go_back(redirect, {"error": self.refuse_consent, **back})
        code = self._new_code(request)
        return _go_back(redirect, {**back, "code": code, "scope": query["scope"]})

    def token(self, request: FakeRequest) -> FakeResponse:
        """Code exchange and refresh."""
        form = _form(request)
        if form.get("grant_type") == JWT_BEARER:
            return respond(self._assert(form.get("assertion", "")))
        client_id = form.get("client_id", "")
        if client_id not in self.clients or self.clients[client_id] != form.get("client_secret"):
            raise _oauth_error(401, "invalid_client", "The OAuth client was not found.")
        match form.get("grant_type"):
            case "authorization_code":
                return respond(self._exchange(form, client_id))
            case "refresh_token":
                return respond(self._refresh(form, client_id))
            case other:
                raise _oauth_error(400, "unsupported_grant_type", f"Invalid grant_type: {other}")

    def revoke(self, request: FakeRequest) -> FakeResponse:
        """Either token ends the whole grant."""
        token = _form(request).get("token") or request.query.get("token", "")
        refresh = token if token in self.refresh else None
        if token in self.access:
            refresh = self.access.pop(token).refresh_token
        elif refresh is None:
            raise _oauth_error(400, "invalid_token", "Token expired or revoked")
        self.refresh.pop(refresh or "", None)
        self.access = {t: g for t, g in self.access.items() if g.refresh_token != refresh}
        self._consented.clear()
        return respond({})

    def tokeninfo(self, request: FakeRequest) -> FakeResponse:
        grant = self.access.get(request.query.get("access_token", ""))
        if grant is None or (grant.expires_at or 0) <= self.now():
            raise _oauth_error(400, "invalid_token", "Invalid Value")
        left = int((grant.expires_at or 0) - self.now())
        info = {"azp": grant.client_id, "aud": grant.client_id, "scope": " ".join(grant.scopes)}
        return respond({**info, "expires_in": str(left), "email": self.email})

    def userinfo(self, request: FakeRequest) -> FakeResponse:
        grant = self.bearer(request)
        if grant is None or EMAIL_SCOPE not in grant.scopes:
            raise GoogleError(401, "Invalid Credentials")
        return respond({"id": "100000000000000000001", "email": self.email, "verified_email": True})

    # -- inside ---------------------------------------------------------------------------------

    def _exchange(self, form: Json, client_id: str) -> Json:
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires_at <= self.now() or code.client_id != client_id:
            raise _oauth_error(400, "invalid_grant", "Malformed auth code.")
        if code.redirect_uri != form.get("redirect_uri"):
            raise _oauth_error(400, "redirect_uri_mismatch", "Bad Request")
        if code.challenge is not None:
            verifier = form.get("code_verifier", "")
            if not verifier:
                raise _oauth_error(400, "invalid_grant", "Missing code verifier.")
            if not 43 <= len(verifier) <= 128 or s256(verifier) != code.challenge:
                raise _oauth_error(400, "invalid_grant", "Invalid code verifier.")
        refresh = self._new_refresh(client_id, code.scopes) if code.with_refresh else None
        return self._answer(client_id, code.scopes, refresh)

    def _assert(self, assertion: str) -> Json:
        """A service account proves who it is by its signature (RFC 7523); no refresh token."""
        try:
            claims = verified_claims(assertion, self.service_accounts, self.now())
        except ValueError as error:
            raise _oauth_error(400, "invalid_grant", str(error)) from error
        scopes = tuple(str(claims.get("scope", "")).split())
        answer = self._answer(claims["iss"], scopes, None)
        return {name: answer[name] for name in ("access_token", "expires_in", "token_type")}

    def _refresh(self, form: Json, client_id: str) -> Json:
        token = form.get("refresh_token", "")
        grant = self.refresh.get(token)
        if grant is None or grant.client_id != client_id:
            raise _oauth_error(400, "invalid_grant", "Token has been expired or revoked.")
        answer = self._answer(client_id, grant.scopes, token)
        del answer["refresh_token"]
        return answer

    def _answer(self, client_id: str, scopes: tuple[str, ...], refresh: str | None) -> Json:
        self._serial += 1
        access = f"fake-access-{self._serial}"
        expires_at = self.now() + TOKEN_LIFE_S
        self.access[access] = Grant(client_id, scopes, expires_at, refresh)
        answer: Json = {
            "access_token": access,
            "expires_in": TOKEN_LIFE_S,
            "scope": " ".join([*sorted(scopes, reverse=True), "openid"]),
            "token_type": "Bearer",
            "id_token": _id_token(self.email, client_id, expires_at),
        }
        if refresh is not None:
            answer["refresh_token"] = refresh
        return answer

    def _new_refresh(self, client_id: str, scopes: tuple[str, ...]) -> str:
        self._serial += 1
        token = f"1//fake-refresh-{self._serial}"
        self.refresh[token] = Grant(client_id, scopes)
        return token

    def _new_code(self, request: FakeRequest) -> str:
        query = request.query
        client_id = query["client_id"]
        first = client_id not in self._consented
        self._consented.add(client_id)
        self._serial += 1
        code = f"4/0fake-code-{self._serial}"
        again = "consent" in query.get("prompt", "").split()
        self._codes[code] = _Code(
            client_id,
            query["redirect_uri"],
            query.get("code_challenge"),
            tuple(scope for scope in query["scope"].split() if scope != "openid"),
            self.now() + CODE_LIFE_S,
            query.get("access_type") == "offline" and (first or again),
        )
        return code


def s256(verifier: str) -> str:
    """The PKCE challenge for a verifier (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _may_redirect(uri: str) -> bool:
    """Desktop clients: loopback with any port (RFC 8252 section 7.3), or an https page."""
    parts = urlsplit(uri)
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")


def _go_back(redirect: str, values: Json) -> FakeResponse:
    """A redirect to the loopback; an https page would lie outside, so it is shown here."""
    if redirect.startswith("https:"):
        shown = html.escape(str(values.get("code", values.get("error"))))
        page = f"<!doctype html><title>Sign in</title><p>Copy this code: <code>{shown}</code>"
        return FakeResponse(200, {"content-type": "text/html; charset=utf-8"}, _text(page))
    joint = "&" if "?" in redirect else "?"
    return FakeResponse(302, {"location": redirect + joint + urlencode(values)}, _text(""))


def _text(text: str) -> AsyncIterator[bytes]:
    return once(text.encode())


def _form(request: FakeRequest) -> dict[str, str]:
    """A form body, with HTTP Basic client credentials folded in."""
    if request.headers.get("content-type", "").partition(";")[0] != (
        "application/x-www-form-urlencoded"
    ):
        raise _oauth_error(400, "invalid_request", "The body must be a form.")
    form = {k: v[-1] for k, v in parse_qs(request.body.decode()).items()}
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        client, _, password = base64.b64decode(secret).decode().partition(":")
        form |= {"client_id": client, "client_secret": password}
    return form


def _oauth_error(status: int, code: str, description: str) -> GoogleError:
    body = json.dumps({"error": code, "error_description": description}, indent=2)
    return RawError(status, body.encode())


def _page_error(status: int, code: str, text: str) -> GoogleError:
    page = (
        f"<!doctype html><title>Error</title><h1>Error {status}: {code}</h1><p>{html.escape(text)}"
    )
    return RawError(status, page.encode(), "text/html; charset=utf-8")


def _id_token(email: str, client_id: str, expires_at: float) -> str:
    """An unsigned JWT; nobody who receives it over TLS from Google verifies it."""
    claims = {"iss": "https://accounts.google.com", "aud": client_id, "email": email}
    parts = ({"alg": "none"}, {**claims, "exp": int(expires_at)})
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    ]
    return ".".join([*encoded, ""])
