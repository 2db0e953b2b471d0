"""Application Default Credentials: the Google Cloud sign-in this computer already has.

In Google's own order: the file GOOGLE_APPLICATION_CREDENTIALS names, gcloud's well-known file, and
the metadata server of a Google machine. Only the access token is ever taken from them; a quota
project in them is ignored, so nothing sends ``x-goog-user-project``. Source: AIP-4110; google-auth
``_default``.
"""

import asyncio
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from server.auth.eligibility import Problem, problem_for
from server.auth.grants import (
    UNREADABLE,
    GrantRefusedError,
    email_in,
    google_transport,
    lifetime_s,
    renew,
)
from server.auth.oauth_client import GOOGLE_TOKEN_URI, make_client
from server.auth.token_files import Stamp, stamp_of
from server.errors import AuthenticationError, BadRequestError, UpstreamError
from server.gemini.types import Json
from server.json_codec import loads
from server.redaction import learn

log = logging.getLogger(__name__)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
EARLY_S = 225.0
"""Renewed this long before the end: google-auth's own ``REFRESH_THRESHOLD``, after which the
metadata server gives a new token."""
REFUSAL_REMEMBERED_S = 30.0
PING_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """One access token, and whose it is."""

    token: str = field(repr=False)
    lifetime_s: float
    email: str | None = None

    def __post_init__(self) -> None:
        learn(self.token)


class AdcError(AuthenticationError):
    """No token can be had with what is there; ``problem`` says why."""

    def __init__(self, code: str) -> None:
        self.problem = problem_for(code)
        super().__init__(self.problem.sentence, code=code, should_retry=False)


@dataclass(frozen=True, slots=True)
class _Held:
    minted: Minted
    expires_at: float
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class _Refused:
    error: AdcError
    until: float
    stamp: Stamp | None


class Adc:
    """The credentials of this computer. The file is looked at before every use.

    ``named``: what GOOGLE_APPLICATION_CREDENTIALS says; ``gcloud``: gcloud's well-known file, used
    in its place. ``mint`` blocks and runs in a worker thread.
    """

    def __init__(
        self,
        named: Path | None,
        gcloud: Path | None = None,
        *,
        mint: Callable[[Path | None], Minted] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = named or gcloud
        self._may_be_elsewhere = named is None
        self._mint = mint or mint_token
        self._now = now
        self._minting = asyncio.Lock()
        self._held: _Held | None = None
        self._refused: _Refused | None = None
        self._own_project: tuple[Stamp | None, str | None] = (None, None)

    @property
    def present(self) -> bool:
        """Whether there is a file; the metadata server is not asked."""
        return self._stamp() is not None

    @property
    def identity(self) -> str:
        """Changes whenever other credentials take the place of these."""
        return f"{self._file} {self._stamp()}"

    @property
    def project(self) -> str | None:
        """The project the file belongs to, where it says so (service accounts)."""
        stamp = self._stamp()
        if self._file is None or stamp is None:
            return None
        if self._own_project[0] != stamp:
            self._own_project = stamp, _project_in(self._file)
        return self._own_project[1]

    @property
    def email(self) -> str | None:
        """Whose credentials they are, once a token told."""
        held = self._current()
        return held.minted.email if held else None

    @property
    def known(self) -> bool:
        """Whether there is something to work with, as far as known without asking."""
        return self.present or self._current() is not None

    @property
    def problem(self) -> Problem | None:
        """Why there was no token the last time."""
        refused = self._refused
        return refused.error.problem if refused and refused.stamp == self._stamp() else None

    async def access_token(self, *, stale: str | None = None) -> str:
        """A token good for the next minutes. ``stale``: one that Google has just refused.

        Raises ``AuthenticationError`` when a person has to do something, ``UpstreamError`` when
        Google cannot be asked.
        """
        token = self._usable(stale, EARLY_S)
        if token is None:
            async with self._minting:
                token = self._usable(stale, EARLY_S) or await self._renewed(stale)
        return token

    def _stamp(self) -> Stamp | None:
        return stamp_of(self._file) if self._file else None

    def _current(self) -> _Held | None:
        """The token at hand, unless another file has taken the place of its own."""
        held = self._held
        return held if held and held.stamp == self._stamp() else None

    def _usable(self, stale: str | None, left_s: float) -> str | None:
        held = self._current()
        if held is None or held.minted.token == stale or held.expires_at - self._now() <= left_s:
            return None
        return held.minted.token

    async def _renewed(self, stale: str | None) -> str:
        stamp = self._stamp()
        refused = self._refused
        if refused and refused.stamp == stamp and self._now() < refused.until:
            raise AdcError(refused.error.problem.code)
        try:
            minted = await self._minted(stamp)
        except AdcError as error:
            self._refused = _Refused(error, self._now() + REFUSAL_REMEMBERED_S, stamp)
            raise
        except UpstreamError:
            token = self._usable(stale, 0.0)
            if token is None:
                raise
            return token  # it was only early
        self._held = _Held(minted, self._now() + minted.lifetime_s, stamp)
        self._refused = None
        return minted.token

    async def _minted(self, stamp: Stamp | None) -> Minted:
        if stamp is None and not self._may_be_elsewhere:
            raise AdcError("ADC_MISSING")
        return await asyncio.to_thread(self._mint, self._file if stamp else None)


def _project_in(file: Path) -> str | None:
    try:
        project = _read(file).get("project_id")
    except AdcError:
        return None
    return project if isinstance(project, str) and project else None


def _read(file: Path) -> Json:
    try:
        content = loads(file.read_bytes())
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s)", file, type(error).__name__)
        raise AdcError("ADC_UNREADABLE") from error
    if not isinstance(content, dict):
        log.warning("%s is not a JSON object", file)
        raise AdcError("ADC_UNREADABLE")
    return content


# ── in a worker thread ───────────────────────────────────────────────────────────────────────────


def mint_token(file: Path | None) -> Minted:
    """Get a new token with the credentials in ``file``; None: from the metadata server. Blocks.

    Raises ``AdcError`` or ``UpstreamError``.
    """
    try:
        if file is None:
            return _from_metadata_server()
        info = _read(file)
        if info.get("type") == "authorized_user":
            return _from_user(info, file)
        return _from_any_other(info, file)
    except GrantRefusedError as error:
        log.warning("Google refuses the Application Default Credentials (%s)", error)
        raise AdcError("ADC_REFUSED") from error


def _from_user(info: Json, file: Path) -> Minted:
    """What ``gcloud auth application-default login`` writes."""
    try:
        client = make_client(info, str(file))
    except BadRequestError as error:
        log.warning("%s", error.message)
        raise AdcError("ADC_UNREADABLE") from error
    refresh_token = info.get("refresh_token")
    if not isinstance(refresh_token, str) or not refresh_token:
        log.warning("%s: refresh_token is missing", file)
        raise AdcError("ADC_UNREADABLE")
    from google.oauth2.credentials import Credentials  # noqa: PLC0415

    # Never with a quota project: it would be sent as x-goog-user-project.
    held = Credentials(
        token=None,
        refresh_token=refresh_token,
        token_uri=client.token_uri,
        client_id=client.client_id,
        client_secret=client.client_secret,
    )  # type: ignore[no-untyped-call]
    minted = _renewed(held, client.token_uri)
    return replace(minted, email=info.get("account") or minted.email)


def _from_any_other(info: Json, file: Path) -> Minted:
    """A service account's key, a federated or an impersonated identity: google-auth knows them."""
    import google.auth  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    with google_transport() as send, warnings.catch_warnings():
        # It warns of files from strangers; this one was chosen by the user of this computer.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            held, _ = google.auth.load_credentials_from_dict(info, scopes=[SCOPE], request=send)  # type: ignore[no-untyped-call]
        except (GoogleAuthError, *UNREADABLE) as error:
            log.warning("%s: %s", file, type(error).__name__)
            raise AdcError("ADC_UNREADABLE") from error
    return _renewed(held, str(info.get("token_uri") or GOOGLE_TOKEN_URI))


def _from_metadata_server() -> Minted:
    """Compute Engine, Cloud Run, GKE: the machine's own service account."""
    from google.auth.compute_engine import Credentials, _metadata  # noqa: PLC0415

    with google_transport() as send:
        # Without this look, google-auth would try a machine that is not there for a minute.
        if not _metadata.ping(send, timeout=PING_S, retry_count=1):  # type: ignore[no-untyped-call]
            raise AdcError("ADC_MISSING")
    return _renewed(Credentials(scopes=[SCOPE]), "http://metadata.google.internal")  # type: ignore[no-untyped-call]


def _renewed(held: Any, token_uri: str) -> Minted:
    renew(held, token_uri)
    email = getattr(held, "service_account_email", None) or email_in(
        getattr(held, "id_token", None)
    )
    return Minted(token=str(held.token), lifetime_s=lifetime_s(held.expiry), email=email)
