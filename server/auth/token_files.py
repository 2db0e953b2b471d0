"""Google sign-ins on disk: three formats read, one written.

Read: google-auth's *authorized_user* (also what is written), Gemini CLI's ``oauth_creds.json``, and
the raw token answer that the original gemini-api-proxy kept (contract section 2).
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from server.auth.oauth_client import OAuthClient, make_client
from server.errors import BadRequestError
from server.gemini.types import Json
from server.json_codec import loads
from server.redaction import learn

_YEAR_3000 = 32_503_680_000

Format = Literal["authorized_user", "gemini-cli", "original"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One sign-in."""

    access_token: str | None
    refresh_token: str | None
    expires_at: float = 0.0
    """Unix seconds; 0 when the file does not say, which counts as expired."""
    client: OAuthClient | None = None
    """The client it was made with, where the file names it."""
    token_uri: str | None = None
    """The endpoint that gave the refresh token, which goes to no other; None where the file does
    not say, which means Google's."""
    host: str | None = None
    """The host of Code Assist that the sign-in was made for; None where the file does not say."""
    scopes: tuple[str, ...] = ()
    account: str | None = None
    format: Format = "authorized_user"
    copied: bool = False
    """Our refreshed copy of a sign-in that belongs to another program."""

    def __post_init__(self) -> None:
        learn(self.access_token)
        learn(self.refresh_token, stay="sign-in")

    def __repr__(self) -> str:
        return f"Credential({self.format}, {self.account or 'account unknown'})"

    @property
    def fingerprint(self) -> str:
        """Tells sign-ins apart without naming a token."""
        return _fingerprint(self.refresh_token or self.access_token or "")


@lru_cache(8)
def _fingerprint(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def parse_token_file(text: str) -> Credential:
    """Read a token file of any format, told apart by its keys. Raises ``ValueError``."""
    content = loads(text.encode("utf-8", "replace"))
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # any bad content is a ValueError
    if "token" in content or "client_id" in content:
        found = _authorized_user(content)
    else:
        found = _raw_answer(content)
    if not found.access_token and not found.refresh_token:
        raise ValueError("no token in it")
    return found


def _authorized_user(content: Json) -> Credential:
    scopes = content.get("scopes")
    if isinstance(scopes, str):
        scopes = scopes.split()
    client = None
    if content.get("client_id") and content.get("client_secret"):
        try:
            client = make_client(content, "the token file")
        except BadRequestError as error:
            raise ValueError(error.message) from error
    return Credential(
        access_token=_text(content, "token"),
        refresh_token=_text(content, "refresh_token"),
        expires_at=_instant(content.get("expiry")),
        client=client,
        scopes=tuple(str(scope) for scope in scopes) if isinstance(scopes, list) else (),
        token_uri=_text(content, "token_uri"),
        host=_text(content, "host"),
        account=_text(content, "account"),
        copied=content.get("copied") is True,
    )


def _raw_answer(content: Json) -> Credential:
    """What a token endpoint answered; Gemini CLI adds ``expiry_date``, epoch milliseconds."""
    expires = content.get("expiry_date")
    kind: Format = "gemini-cli" if "expiry_date" in content else "original"
    return Credential(
        access_token=_text(content, "access_token"),
        refresh_token=_text(content, "refresh_token"),
        expires_at=_moment(expires, 1000) if isinstance(expires, int | float) else 0.0,
        scopes=tuple((_text(content, "scope") or "").split()),
        format=kind,
    )


def _text(content: Json, name: str) -> str | None:
    """None also for what no header can carry: line ends, halves of surrogate pairs."""
    value = content.get(name)
    text = value if isinstance(value, str) else ""
    return text if text and text.isprintable() else None


def _instant(text: object) -> float:
    """ISO 8601 as Unix seconds; without an offset it is UTC, as google-auth writes it."""
    try:
        instant = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        return 0.0
    return _moment((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def _moment(number: float, units: int = 1) -> float:
    """Unix seconds; 0 for what no calendar has. ``units``: how many of them make a second."""
    return number / units if 0 <= number < _YEAR_3000 * units else 0.0


def render_token_file(held: Credential) -> str:
    """The *authorized_user* form, which google-auth reads as well.

    A borrowed client's id and secret are left out: they stay where they were found.
    """
    expiry = datetime.fromtimestamp(held.expires_at, UTC).replace(tzinfo=None)
    content: Json = {
        "type": "authorized_user",
        "token": held.access_token,
        "refresh_token": held.refresh_token,
        "scopes": list(held.scopes),
        "expiry": expiry.isoformat(timespec="seconds") + "Z",
        "universe_domain": "googleapis.com",
        "account": held.account or "",
    }
    client = held.client
    if held.host:
        content["host"] = held.host
    if held.token_uri or client:
        content["token_uri"] = held.token_uri or (client.token_uri if client else None)
    if client is not None and not client.borrowed:
        content |= {
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "revoke_uri": client.revoke_uri,
            "userinfo_uri": client.userinfo_uri,
        }
    if held.copied:
        content["copied"] = True
    return json.dumps(content, indent=2) + "\n"


Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """What changes whenever the file does (mtime in ns, size, inode); None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
