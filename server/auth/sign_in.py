"""Google sign-in: ``Tokens`` keeps it and renews it, ``SignIn`` begins it."""

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, unquote

from server.auth.eligibility import SIGN_IN_REQUIRED, Problem, problem_for
from server.auth.grants import GoogleGrants, Grant, GrantRefusedError
from server.auth.oauth_client import OAuthClient, gives_refresh_tokens_of_google
from server.auth.token_files import Credential
from server.auth.token_store import ORIGINAL_FILE, TokenStore
from server.errors import AuthenticationError, BadRequestError, ProxyError, UpstreamError
from server.redaction import learn

log = logging.getLogger(__name__)

EARLY_S = 300.0
"""An access token is renewed this long before it expires, as Google's own libraries do."""
LOOK_AGAIN_S = (0.25, 0.25, 0.5, 1.0)
"""Pauses after a refused renewal, before the sign-in counts as ended."""
MOST_LOOKS = 5
STATE_LIFETIME_S = 600.0
MOST_PENDING = 64

FindClient = Callable[[], OAuthClient | None]


class Tokens:
    """The one Google sign-in of this server. The disk is looked at before every use."""

    def __init__(
        self,
        *,
        token_file: Path,
        data_dir: Path,
        client: FindClient,
        grants: GoogleGrants,
        setup_address: str = "/setup",
        where: Callable[[], tuple[str, bool]] = lambda: ("", True),
        original_file: Path = ORIGINAL_FILE,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``where``: the host of Code Assist now, and whether a sign-in may go there of which the
        file does not say what host it was made for. One made for another host may not."""
        self._where = where
        self._store = TokenStore(token_file, data_dir, now=now, original_file=original_file)
        self._find_client = client
        self.setup_address = setup_address
        self.grants = grants
        self._now, self._sleep = now, sleep
        self._emails: dict[str, str] = {}
        self._refreshing: asyncio.Task[Credential] | None = None
        self._ended: tuple[str, Problem] | None = None

    # ── what others ask ──

    @property
    def signed_in(self) -> bool:
        """Whether there is a sign-in, as far as known without asking Google."""
        self._store.scan()
        return self._store.held is not None and not self._is_elsewheres(self._store.held)

    def _is_elsewheres(self, held: Credential) -> bool:
        """Whether the sign-in was made for another host than Code Assist has now."""
        host, any_may_go = self._where()
        return held.host != host if held.host else not any_may_go

    @property
    def email(self) -> str | None:
        """Whose account it is, where known."""
        held = self._store.held
        return (self._emails.get(held.fingerprint) or held.account) if held else None

    @property
    def identity(self) -> str:
        """Changes whenever another sign-in takes over; empty when there is none."""
        return self._store.held.fingerprint if self._store.held else ""

    def lifetime(self) -> tuple[float, bool]:
        """When the access token on disk ends (Unix seconds; 0: unknown or never there), and
        whether it can be renewed."""
        held = self._store.held
        return (held.expires_at, held.refresh_token is not None) if held else (0.0, False)

    @property
    def problem(self) -> Problem | None:
        """Why the sign-in cannot be used, or ended; None while all is well."""
        if self._ended is not None and self.identity in ("", self._ended[0]):
            return self._ended[1]
        held = self._store.held
        if held is None and self._store.broken:
            return problem_for("TOKEN_FILE_UNREADABLE")
        return problem_for("SIGN_IN_ELSEWHERE") if held and self._is_elsewheres(held) else None

    async def access_token(self, *, stale: str | None = None) -> str:
        """A token good for the next minutes. ``stale``: one that Google has just refused.

        Raises ``AuthenticationError`` when a person has to sign in, ``UpstreamError`` when Google
        cannot be asked.
        """
        for _ in range(MOST_LOOKS):
            held = await self._current()
            if held is None or self._is_elsewheres(held):
                raise self.sign_in_error()
            token = held.access_token if held.access_token != stale else None
            if token and self._left_s(held) > EARLY_S:
                return token
            try:
                return (await self._refreshed(held)).access_token or ""
            except _OvertakenError:
                continue  # signed in anew, or renewed by another process: go on with that
            except UpstreamError:
                if token and self._left_s(held) > 0:
                    return token  # it was only early
                raise
        raise UpstreamError("The Google sign-in changed again and again while it was renewed.")

    async def learn_email(self) -> str | None:
        """Ask Google whose account it is, once per sign-in. Fails only by not knowing."""
        with contextlib.suppress(ProxyError):
            token = await self.access_token()
            held = self._store.held
            client = await self._client_of(held) if held else None
            if held and client and not self.email:
                email = await self.grants.email(client, token)
                self._emails[held.fingerprint] = email or ""
        return self.email

    async def keep(self, credential: Credential) -> None:
        """Store a new sign-in in place of the old one."""
        self._ended = None
        credential = replace(credential, host=self._where()[0] or None)
        self._store.write(credential)
        email = await self.learn_email()
        if email and self._store.held == credential:
            self._store.write(replace(credential, account=email))

    async def sign_out(self) -> None:
        """Forget the sign-in and tell Google. Another program's sign-in stays valid for it."""
        self._store.scan()
        held = self._store.held
        ours = held is not None and not self._store.is_borrowed(held)
        self._store.remove()
        self._ended = None
        client = await self._client_of(held) if held and ours else None
        token = (held.refresh_token or held.access_token) if held else None
        if client and token:
            try:
                await self.grants.revoke(client, token)
            except UpstreamError as error:
                log.info("signed out here; Google could not be told: %s", error.message)

    def sign_in_error(self) -> AuthenticationError:
        """What a client is told while there is no sign-in that can be used."""
        problem = self.problem or problem_for(SIGN_IN_REQUIRED)
        return AuthenticationError(
            f"{problem.sentence} The page for it: {self.setup_address}",
            code=SIGN_IN_REQUIRED,
            should_retry=False,
        )

    # ── renewing ──

    async def _current(self) -> Credential | None:
        """The sign-in as it is on disk now; waits while a file is being written."""
        while not self._store.scan():
            await self._sleep(0.1)
        return self._store.held

    def _left_s(self, held: Credential) -> float:
        return held.expires_at - self._now()

    async def _refreshed(self, held: Credential) -> Credential:
        """Renew, once for everybody who waits; a waiter who leaves does not stop it."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh(held))
            self._refreshing.add_done_callback(self._refresh_ended)
        return await asyncio.shield(self._refreshing)

    def _refresh_ended(self, task: asyncio.Task[Credential]) -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()  # seen, even if every waiter has left

    async def _refresh(self, held: Credential) -> Credential:
        client = await self._client_of(held)
        if client is None or not held.refresh_token:
            raise self._end(held, await self._why_not(held))
        borrowed = self._store.is_borrowed(held)
        try:
            grant = await self.grants.refresh(client, held.refresh_token)
        except GrantRefusedError as error:
            if await self._is_overtaken(held):
                raise _OvertakenError from error
            log.warning("Google ended the sign-in (%s)", error)
            self._store.reject(held)
            problem = problem_for(error.code, said=error.description)
            raise self._end(held, problem) from error
        self._store.scan()
        if self.identity != held.fingerprint:  # while Google was asked: signed in anew, or out
            raise _OvertakenError if self._store.held else self.sign_in_error()
        fresh = replace(
            held,
            access_token=grant.access_token,
            expires_at=self._now() + grant.lifetime_s,
            client=client,
            format="authorized_user",
            refresh_token=grant.refresh_token or held.refresh_token,
            token_uri=client.token_uri,
            copied=borrowed,
            account=self.email,
        )
        self._ended = None
        self._store.write(fresh)
        return fresh

    def _end(self, held: Credential, problem: Problem) -> AuthenticationError:
        """Remember why ``held`` cannot be used any more; the error that says so."""
        self._ended = held.fingerprint, problem
        return self.sign_in_error()

    async def _is_overtaken(self, held: Credential) -> bool:
        """Whether another sign-in is there after a refusal. Another process may have renewed with
        the same token a moment ago, and be about to write what it got."""
        for pause_s in (0.0, *LOOK_AGAIN_S):
            if pause_s:
                await self._sleep(pause_s)
            self._store.scan()
            if self._store.held is not None and self.identity != held.fingerprint:
                return True
        return False

    async def _found(self) -> OAuthClient | None:
        try:
            return await asyncio.to_thread(self._find_client)  # may search the disk
        except BadRequestError as error:
            log.warning("%s", error.message)
            return None

    async def _client_of(self, held: Credential) -> OAuthClient | None:
        """The client to renew with: a refresh token belongs to the client it was made with, and
        goes only to the endpoint that gave it."""
        found = await self._found()
        if held.client is not None and (found is None or found.client_id != held.client.client_id):
            return held.client
        if found is not None and _may_have(found.token_uri, held):
            return found
        return held.client

    async def _why_not(self, held: Credential) -> Problem:
        """Why there is no client to renew with."""
        if not held.refresh_token:
            return problem_for("invalid_grant")
        found = await self._found()
        return problem_for("NO_OAUTH_CLIENT" if found is None else "OAUTH_CLIENT_ELSEWHERE")


def _may_have(token_uri: str, held: Credential) -> bool:
    """Whether the refresh token of ``held`` may go to ``token_uri``."""
    if held.token_uri is None:
        return gives_refresh_tokens_of_google(token_uri)
    return token_uri == held.token_uri


class _OvertakenError(Exception):
    """Another sign-in took the place of the one that was being renewed."""


# ── signing in ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Pending:
    """One sign-in that was begun and waits for its code."""

    client: OAuthClient
    redirect_uri: str
    verifier: str
    begun_at: float


class SignIn:
    """The way to a sign-in: an address to visit, and the code that comes back from there."""

    def __init__(self, tokens: Tokens, *, now: Callable[[], float] = time.time) -> None:
        self._tokens = tokens
        self._now = now
        self._pending: dict[str, _Pending] = {}
        self._used: dict[str, float] = {}

    def begin(self, client: OAuthClient, redirect_uri: str, *, again: str = "") -> str:
        """Google's address to sign in at.

        ``again``: the state that the same page was given before. While that waits for its code, the
        address stays, so that a sign-in already on its way at Google can still come back; its ten
        minutes begin anew.
        """
        self._forget_old()
        grants, known = self._tokens.grants, self._pending.pop(again, None)
        if known is not None and (known.client, known.redirect_uri) == (client, redirect_uri):
            state, verifier = again, known.verifier
        else:
            state, verifier = secrets.token_urlsafe(32), grants.new_verifier()
        self._pending[state] = _Pending(client, redirect_uri, verifier, self._now())
        return grants.authorization_url(client, redirect_uri, state, verifier)

    async def finish(self, state: str | None, code_or_address: str) -> None:
        """Trade the code for a sign-in. ``state`` is used up, whatever happens.

        ``code_or_address``: the bare code, with spaces or line breaks in it, or the whole address
        Google sent the browser to, whose own state then counts. Raises ``ProxyError``.
        """
        pasted = _read_pasted(code_or_address)
        pending = self._take(pasted.get("state") or state)
        if "error" in pasted:
            raise _refused_by_google(pasted["error"], pasted.get("error_description", ""))
        code = pasted.get("code")
        if not code:
            raise BadRequestError("No code was given.", param="code")
        learn(code)
        client = pending.client
        grants = self._tokens.grants
        try:
            grant = await grants.exchange(client, pending.redirect_uri, pending.verifier, code)
        except GrantRefusedError as error:
            raise _refused_by_google(error.code, error.description) from error
        await self._tokens.keep(_credential(grant, client, self._now()))

    def _take(self, state: str | None) -> _Pending:
        self._forget_old()
        pending = self._pending.pop(state, None) if state else None
        if pending is not None and state is not None:
            self._used[state] = self._now()
            return pending
        if state in self._used:
            raise BadRequestError(
                "This sign-in link was already used. If you are not signed in, start again.",
                param="state",
                code="sign_in_already_used",
            )
        raise BadRequestError(
            "This sign-in link is not known here or is older than ten minutes. Start again.",
            param="state",
            code="sign_in_expired",
        )

    def _forget_old(self) -> None:
        oldest = self._now() - STATE_LIFETIME_S
        self._used = {state: at for state, at in self._used.items() if at > oldest}
        recent = [(s, p) for s, p in self._pending.items() if p.begun_at > oldest]
        self._pending = dict(recent[1 - MOST_PENDING :])


def _credential(grant: Grant, client: OAuthClient, now: float) -> Credential:
    """The sign-in a grant makes. Raises ``ProxyError`` when it would not last or not suffice."""
    if not grant.refresh_token:
        raise UpstreamError(
            "Google sent no refresh token, so the sign-in would end within the hour. Remove this "
            "app's access at https://myaccount.google.com/permissions, then sign in again.",
            code="no_refresh_token",
        )
    if grant.scopes and not any(scope.endswith("/cloud-platform") for scope in grant.scopes):
        raise BadRequestError(
            "The permission for Google Cloud was not given. Sign in again and leave its box "
            "ticked.",
            code="scope_missing",
        )
    return Credential(
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        expires_at=now + grant.lifetime_s,
        client=client,
        token_uri=client.token_uri,
        scopes=grant.scopes,
    )


def _read_pasted(text: str) -> dict[str, str]:
    """``code`` (or ``error``) and, from an address, ``state``."""
    text = re.sub(r"\s+", "", text)
    if re.search(r"(^|[?&])(code|error)=", text):
        query = text.rpartition("?")[2].partition("#")[0]
        return {name: values[-1] for name, values in parse_qs(query).items()}
    code = text.partition("&")[0]
    return {"code": unquote(code) if "%" in code else code}


def _refused_by_google(code: str, description: str) -> ProxyError:
    """The sentence for an error of the sign-in itself."""
    match code:
        case "access_denied":
            return BadRequestError(
                "The sign-in was cancelled on Google's page. Start again when you are ready.",
                code=code,
            )
        case "invalid_grant":
            return BadRequestError(
                "Google does not accept this code: it was used before, is incomplete, or older "
                "than a few minutes. Start again.",
                param="code",
                code=code,
            )
        case "redirect_uri_mismatch":
            return BadRequestError(
                "Google does not accept our address for this OAuth client. Use a client of the "
                "type 'Desktop app'.",
                code=code,
            )
    said = f"{code}: {description}" if description else code
    return BadRequestError(f"Google refused the sign-in ({said}). Start again.", code=code)
