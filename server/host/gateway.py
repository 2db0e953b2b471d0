"""The running parts, and what pages, tray and command line may ask of them.

Holds the settings in force. A change is checked, saved, handed to the parts that read it, and takes
effect without cutting a stream.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from server import __version__
from server.auth.adc import Adc
from server.auth.eligibility import Problem, problem_for, problem_of
from server.auth.grants import GoogleGrants
from server.auth.oauth_client import (
    CLIENT_FILE,
    ForeignHostError,
    OAuthClient,
    find_client,
    foreign_hosts,
    save_client,
)
from server.auth.sign_in import SignIn, Tokens
from server.core.attachments import Attachments
from server.core.downloads import Fetcher
from server.core.pipeline import Pipeline
from server.core.repairs import Repairs
from server.core.throttle import Throttle, ThrottleState
from server.edge.access import Access
from server.edge.tickets import Tickets
from server.errors import AuthenticationError, BadRequestError, ProxyError
from server.host.memory import Memory, trimmer
from server.host.updates import Updates
from server.network.transport import make_client
from server.settings import load as settings_file
from server.settings.load import Settings
from server.settings.options import ALL_OPTIONS
from server.storage.metrics import Metrics
from server.storage.responses import ResponseStore
from server.storage.signatures import SignatureStore
from server.storage.usage import UsageLog
from server.upstreams import UPSTREAMS
from server.upstreams.base import Account, Parts
from server.upstreams.choice import Doors
from server.upstreams.code_assist import CodeAssist
from server.upstreams.learned_models import LearnedModels
from server.upstreams.model_state import ModelState, model_state

log = logging.getLogger(__name__)

RESTART_AFTER_S = 0.3

UNREACHED = ("upstream", "timeout")
"""Codes of a problem that is one of the way to Google, not of the account."""

ASK_AGAIN_S = (5.0, 15.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A snapshot for everything that shows the state of the server."""

    version: str
    upstream: str | None
    upstream_reason: str
    account: Account
    throttle: ThrottleState
    running: int
    setup_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInOffer:
    """What the sign-in page can offer: an address to follow, or what is in the way."""

    url: str | None = None
    state: str = ""
    source: str = ""
    borrowed: bool = False
    """The client is the Gemini CLI's."""
    problem: str | None = None
    ask_hosts: tuple[str, ...] = ()
    """Hosts outside Google, of the client that is there, which the owner has to say yes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorCheck:
    """What Google said when asked whether an upstream works."""

    name: str
    account: Account | None = None
    models: int = 0
    problem: Problem | None = None


def _plain(value: object) -> object:
    """A setting as ``settings.toml`` can hold it."""
    return str(value) if isinstance(value, Path) else value


class Gateway:
    """One server's parts, built from settings; closed when the server stops."""

    def __init__(
        self,
        settings: Settings,
        *,
        http: httpx.AsyncClient | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.settings = settings
        self.started_with = settings
        """The settings of this start: what command line and environment will set again."""
        self.next_settings = settings
        """The settings of a restart within this run: those in force, and what waits for one."""
        self.pending: dict[str, object] = {}
        """Saved values that wait for a restart."""
        self.on_restart: Callable[[], None] | None = None
        """Stops this server and starts the next; set by who started it, called in the loop."""
        self.unsaved: dict[str, str] = {}
        """Settings that were changed for this run only, and why they could not be saved."""
        self.stopping = asyncio.Event()
        self.metrics = Metrics()
        self.usage = UsageLog(settings.data_dir, self.metrics)
        self.signatures = SignatureStore(settings.data_dir)
        self.repairs = Repairs(settings.data_dir)
        self.responses = ResponseStore(settings.response_store, settings.data_dir)
        self.throttle = Throttle(
            rate_limit_s=settings.rate_limit_s,
            wait_mode=settings.wait_mode,
            queue_limit=settings.queue_limit,
        )
        self.http = http or make_client()
        self.tokens = Tokens(
            token_file=settings.token_file,
            data_dir=settings.data_dir,
            client=self._find_client,
            grants=GoogleGrants(self.http),
            setup_address=f"{self.base_url}/setup",
            where=lambda: self.settings.code_assist_host,
        )
        self.sign_in = SignIn(self.tokens)
        adc = Adc(settings.google_application_credentials, settings.gcloud_credentials)
        parts = Parts(settings=settings, tokens=self.tokens, adc=adc, http=self.http)
        self.learned = LearnedModels(settings.data_dir)
        self.doors = Doors(parts, UPSTREAMS, self.learned)
        self.pipeline = Pipeline(
            self.doors,
            self.throttle,
            self.usage,
            self.signatures,
            Attachments(fetcher or Fetcher()),
            self.repairs,
        )
        memory = Memory(lambda: bool(self.pipeline.live), trimmer())
        self.pipeline.quiet = memory.quiet
        self.access = Access(settings)
        self.tickets = Tickets()
        self.updates = Updates(settings, self._tell)
        self.metrics.queued = lambda: self.throttle.state().waiting
        self._changing = asyncio.Lock()
        """Two changes at once would each save the file without the other."""
        self._background: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        """What users paste into their tools."""
        return self.settings.own_url

    def status(self) -> Status:
        """The state now; never waits."""
        choice = self.doors.choice()
        upstream = self.doors.current()
        account = upstream.account() if upstream else self._nobody()
        return Status(
            version=__version__,
            upstream=upstream.name if upstream else None,
            upstream_reason=choice.reason,
            account=account,
            throttle=self.throttle.state(),
            running=len(self.pipeline.live),
            setup_address=f"{self.base_url}/setup",
        )

    def _nobody(self) -> Account:
        return Account(authenticated=False, problem=self.tokens.problem)

    def models(self, used: Iterable[str] = ()) -> ModelState:
        """Which model stands behind each tier, what was refused, and what ends; never waits."""
        return model_state(self.doors, used)

    async def check_account(self) -> Account:
        """Ask Google who is behind the upstream in use; problems are in the answer."""
        upstream = self.doors.current()
        account = await upstream.check() if upstream else self._nobody()
        self._tell()
        return account

    async def check_until_reached(
        self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """Ask again, a few times, while Google cannot be reached.

        A computer that has just been started has no network yet.
        """
        for delay_s in ASK_AGAIN_S:
            upstream = self.doors.current()
            problem = upstream.account().problem if upstream else None
            if problem is None or problem.code not in UNREACHED:
                return
            await sleep(delay_s)
            await self.check_account()

    async def refresh_quota(self) -> None:
        """Ask Google what is left, where the upstream in use can tell."""
        upstream = self.doors.current()
        if isinstance(upstream, CodeAssist):
            await upstream.refresh_quota(0.0)
            self._tell()

    async def check_door(self, name: str, *, just_asked: bool = False) -> DoorCheck:
        """Ask Google now whether one upstream works, in use or not.

        ``just_asked``: the account was loaded a moment ago; asking twice would tell nothing new.
        """
        try:
            upstream = self.doors.named(name)
        except AuthenticationError as error:
            return DoorCheck(name=name, problem=self._not_ready(name, error))
        await self.learned.forget(upstream.credential)  # who asks may have changed the plan
        account = upstream.account() if just_asked else await upstream.check()
        if account.problem is not None:
            return DoorCheck(name=name, account=account, problem=account.problem)
        try:
            models = await upstream.models()
        except ProxyError as error:
            return DoorCheck(name=name, account=upstream.account(), problem=problem_of(error))
        return DoorCheck(name=name, account=upstream.account(), models=len(models))

    def _not_ready(self, name: str, error: AuthenticationError) -> Problem:
        if name == "vertex" and self.settings.google_cloud_project:
            return problem_for("ADC_MISSING")
        missing = {door.name: door.missing for door in self.doors.listed()}.get(name)
        return Problem(
            code=error.code or error.kind,
            message="It is not set up.",
            remedy=f"{missing[:1].upper()}{missing[1:]}." if missing else error.message,
        )

    async def change(self, name: str, value: object) -> None:
        """Change one setting, save it, and let it take effect.

        A setting that is not live is saved only, and kept in ``pending`` for the pages. Raises
        ``SettingsError``. A folder that cannot be written, or a file that somebody broke, costs the
        saving, not the change.
        """
        async with self._changing:
            await self._change(name, value)

    async def _change(self, name: str, value: object) -> None:
        settings = self.settings.with_value(name, value)
        option = ALL_OPTIONS[name]
        saved = None if name not in settings.sources else _plain(getattr(settings, option.field))
        try:
            saving: dict[str, object | None] = {name: saved}
            if name in ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL"):
                saving["GEMINI_API_KEY_FOR"] = settings.gemini_api_key_for
            if name == "CODE_ASSIST_ENDPOINT":
                saving["SIGN_IN_FOR"] = settings.sign_in_for
            await asyncio.to_thread(settings_file.save, settings.data_dir, saving)
        except (OSError, ValueError) as error:
            log.warning("%s is changed but could not be saved: %s", name, error)
            self.unsaved[name] = str(error)
        else:
            log.info("%s was changed", name)
            self.unsaved.pop(name, None)
        self.next_settings = self.next_settings.with_value(name, value)
        self.usage.publish({"type": "settings"})
        if not option.live:
            self.pending[name] = getattr(settings, option.field)
            if self.pending[name] == getattr(self.settings, option.field):
                del self.pending[name]  # back to what runs: nothing to restart for
            return
        self.settings = settings
        self.throttle.configure(
            rate_limit_s=settings.rate_limit_s,
            wait_mode=settings.wait_mode,
            queue_limit=settings.queue_limit,
        )
        self.doors.use(settings)
        self.updates.use(settings)
        if option.owner:
            self.access.use(settings)
            self.access.ensure_key()
        self._tell()

    def restart(self) -> None:
        """Restart once the answer to whoever asked has left."""
        if self.on_restart is not None:
            asyncio.get_running_loop().call_later(RESTART_AFTER_S, self.on_restart)

    def _tell(self) -> None:
        """Whoever shows the state looks again."""
        self.usage.publish({"type": "changed"})

    # Sign-in

    async def offer_sign_in(self, again: str = "") -> SignInOffer:
        """An address to sign in at, where there is an OAuth client to do it with.

        ``again``: the state of the offer that the same page showed before.
        """
        try:
            client = await asyncio.to_thread(self._find_client)
        except ForeignHostError as error:
            return SignInOffer(problem=error.message, ask_hosts=error.hosts)
        except BadRequestError as error:
            return SignInOffer(problem=error.message)
        if client is None:
            asked = self.settings.use_gemini_cli_client
            return SignInOffer(
                problem="No Gemini CLI was found on this computer." if asked else None
            )
        redirect = client.redirect_uri(self.settings.port)
        url = await asyncio.to_thread(self.sign_in.begin, client, redirect, again=again)
        state = parse_qs(urlsplit(url).query).get("state", [""])[0]
        source = "the Gemini CLI on this computer" if client.borrowed else "yours"
        return SignInOffer(url=url, state=state, source=source, borrowed=client.borrowed)

    async def finish_sign_in(self, state: str, code_or_address: str) -> None:
        """Trade the code for a sign-in. Raises ``ProxyError`` with a sentence for the page."""
        await self.sign_in.finish(state or None, code_or_address)
        self.doors.forget("code-assist")
        await self.check_account()
        log.info("signed in to Google")
        self.usage.publish({"type": "account"})

    async def sign_out(self) -> None:
        """Forget the Google account and everything kept for it."""
        await self.tokens.sign_out()
        await self.wipe()
        self.doors.forget("code-assist")
        log.info("signed out of Google")
        self.usage.publish({"type": "account"})
        self._tell()

    async def wipe(self) -> None:
        """Forget every conversation: thought signatures and kept answers."""
        await asyncio.to_thread(self.signatures.wipe)
        await asyncio.to_thread(self.responses.wipe)
        await self.repairs.wipe()

    def keep_client(self, text: str) -> None:
        """Keep an uploaded client-secrets file. Raises ``BadRequestError``."""
        try:
            save_client(self.settings.data_dir, text)
        except OSError as error:
            raise BadRequestError(
                f"The client cannot be kept in the data folder ({error.strerror}). Set "
                "GOOGLE_OAUTH_CLIENT_FILE to its file instead.",
                param="client",
            ) from error

    def remove_client(self) -> None:
        """Forget an uploaded client-secrets file. Raises ``BadRequestError``."""
        try:
            (self.settings.data_dir / CLIENT_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise BadRequestError(
                f"The client cannot be removed ({error.strerror}).", param="client"
            ) from error

    @property
    def client_is_uploaded(self) -> bool:
        """Whether the client in use came from the set-up page."""
        settings = self.settings
        named = settings.google_oauth_client_file is not None
        return not named and (settings.data_dir / CLIENT_FILE).exists()

    def _find_client(self) -> OAuthClient | None:
        """The client in use. Raises ``ForeignHostError`` before the owner has said yes to it."""
        settings = self.settings
        client = find_client(
            settings.data_dir,
            settings.google_oauth_client_file,
            allow_gemini_cli=settings.use_gemini_cli_client,
        )
        hosts = tuple(set(foreign_hosts(client)) - {*settings.oauth_hosts}) if client else ()
        if hosts:
            raise ForeignHostError(tuple(sorted(hosts)))
        return client

    async def trust(self, hosts: str) -> None:
        """Let the OAuth client in use sign in at these hosts, which are those it names now.

        Raises ``BadRequestError`` where they are not.
        """
        try:
            await asyncio.to_thread(self._find_client)
        except ForeignHostError as error:
            if ",".join(error.hosts) != hosts:
                raise
            await self.change("OAUTH_HOSTS", [*self.settings.oauth_hosts, *error.hosts])

    # Life

    def in_background(self, work: Coroutine[None, None, None]) -> None:
        """Run something nobody waits for; it ends with the server."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def aclose(self) -> None:
        """Commit what is queued and close connections."""
        for task in self._background:
            task.cancel()
        self.doors.close()
        await self.http.aclose()
        await asyncio.to_thread(self._close_stores)

    def _close_stores(self) -> None:
        self.usage.close()
        self.signatures.close()
        self.responses.close()
