"""What the tray may ask of the server, and the one snapshot it may show.

Intents (``start``, ``stop``, ``change``, …) return at once: one worker thread carries them out, one
after the other, so that a menu callback never blocks the desktop. The answer to every intent is a
new ``Status``, handed to whoever watches; nobody keeps a truth of his own.
"""

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Literal
from urllib.parse import urlencode

from server.auth.eligibility import Problem
from server.errors import ProxyError
from server.host.gateway import Gateway
from server.host.ports import conflict
from server.host.runtime import PortInUseError, PortLostError, Server
from server.settings import load as settings_file
from server.settings.load import Loaded, Settings, SettingsError
from server.upstreams.code_assist import CodeAssist, Quota
from server.upstreams.quota import FamilyQuota, by_family

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
"""How often a running request or a queue is looked at; with neither, nothing wakes up."""

SETTLE_S = 0.1
"""Changes closer together than this are shown as one."""

A_WHILE_S = 60.0
"""From here on it is worth telling until when a limit lasts."""

QUOTA_SETTLE_S = 1.0
"""How long after the end of a request Google is asked what is left."""

QUOTA_FRESH_S = 20.0
"""The least time between two such questions."""

Phase = Literal["stopped", "starting", "running", "stopping"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the server does not run although it should."""

    message: str
    free_port: int | None = None
    """A port to use instead, when the one in the settings is taken."""
    in_given: bool = False
    """The mistake is in the command line or the environment: only its author can mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything a tray shows, at one moment."""

    phase: Phase = "stopped"
    host: str = "127.0.0.1"
    port: int = 8081
    upstream: str | None = None
    email: str | None = None
    tier: str | None = None
    authenticated: bool = False
    signed_in: bool = False
    """A Google account is signed in, whether or not its upstream is the one in use."""
    problem: Problem | None = None
    """Why Google does not serve the account."""
    chosen: str = "auto"
    """The UPSTREAM setting."""
    upstreams: tuple[tuple[str, str], ...] = ()
    """(name, title) of every upstream there is."""
    wait_mode: bool = False
    rate_limit_s: float = 0.0
    queued: int = 0
    running: int = 0
    """Requests being answered now."""
    pinned: frozenset[str] = frozenset()
    """Settings that come back at the next start, whatever is chosen here."""
    trouble: Trouble | None = None
    limited: bool = False
    """A rate limit, ours or Google's, turned the last request away, and its delay is not over."""
    limited_until: float | None = None
    """Unix seconds, where that is more than a minute away."""
    checking: bool = False
    """Google is being asked who we are."""
    quota: tuple[FamilyQuota, ...] = ()
    """What is left of the account's models; empty where Google does not tell."""
    update: str | None = None
    """The version of a newer release."""
    refused: tuple[str, ...] = ()
    """A sentence for each model that Google refuses to the credential in use; not for names that
    it does not know, which may be slips."""
    ending: tuple[str, ...] = ()
    """A sentence for each model in use that ends within two weeks."""

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"


def read_status(gateway: Gateway) -> Status:
    """The snapshot of a running server; called in its loop."""
    settings, state, models = gateway.settings, gateway.status(), gateway.models()
    return Status(
        phase="running",
        host=settings.own_host,
        port=settings.port,
        upstream=state.upstream,
        email=state.account.email,
        tier=state.account.tier,
        authenticated=state.account.authenticated,
        signed_in=gateway.tokens.signed_in,
        problem=state.account.problem,
        chosen=settings.upstream,
        upstreams=tuple((door.name, door.title) for door in gateway.doors.listed()),
        wait_mode=state.throttle.wait_mode,
        rate_limit_s=state.throttle.rate_limit_s,
        queued=state.throttle.waiting,
        running=state.running,
        update=gateway.updates.state.version,
        pinned=frozenset(name for name in settings.sources if settings.pinned(name)),
        quota=by_family(_code_assist_quota(gateway)),
        refused=tuple(mark.sentence for mark in models.refused if mark.why != "unknown"),
        ending=tuple(end.sentence for end in models.ending),
    )


def _code_assist_quota(gateway: Gateway) -> tuple[Quota, ...]:
    upstream = gateway.doors.current()
    return upstream.quota() if isinstance(upstream, CodeAssist) else ()


class Follower:
    """Draws conclusions from the end of a request: what the limits say, and what is left.

    Google is asked what is left after requests and when a used quota was reset, never regularly.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._limited_until = 0.0  # this and the next in Unix seconds
        self._ours = False
        self._cause: tuple[object, ...] = ()
        self._reset_at = math.inf
        self._asked = -QUOTA_FRESH_S
        self._waiting = False

    def note(self, change: Mapping[str, object]) -> None:
        """Something has happened."""
        if change.get("type") != "finished":
            return
        refused, delay = change.get("outcome") == "rate_limit", change.get("retry_after_s")
        told = time.time() + delay if isinstance(delay, int | float) else math.inf
        self._limited_until = told if refused else 0.0
        if refused:
            sent = change.get("attempts") != 0
            self._ours = not sent and told - time.time() <= self._gateway.settings.rate_limit_s + 1
            self._cause = self._cause_in(read_status(self._gateway))
        self._ask_soon()

    def _cause_in(self, status: Status) -> tuple[object, ...]:
        """What the limit comes from: it is over when that is another."""
        if self._ours:
            return (status.rate_limit_s, status.wait_mode)
        return (status.upstream, status.email)

    def seen(self, status: Status) -> Status:
        """``status`` with what the limits say now."""
        if self._cause != self._cause_in(status):
            self._limited_until = 0.0
        now, until = time.time(), self._limited_until
        if now >= self._reset_at:
            self._ask_soon()
        used = [one.reset_at for one in status.quota if one.reset_at and one.percent < 100]
        self._reset_at = min((at for at in used if at > now), default=math.inf)
        far = until if now + A_WHILE_S < until < math.inf else None
        return replace(status, limited=now < until, limited_until=far)

    def rest_s(self) -> float | None:
        """How long that holds by itself; None: until something happens."""
        now = time.time()
        ends = [end for end in (self._limited_until, self._reset_at) if now < end < math.inf]
        return min(ends) - now + SETTLE_S if ends else None

    def _ask_soon(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._gateway.in_background(self._ask())

    async def _ask(self) -> None:
        await asyncio.sleep(max(QUOTA_SETTLE_S, self._asked + QUOTA_FRESH_S - time.monotonic()))
        self._waiting, self._asked = False, time.monotonic()
        await self._gateway.refresh_quota()


class Controller:
    """Owns the server of one process. Every method may be called from any thread."""

    def __init__(
        self, load: Callable[[], Loaded], make_server: Callable[[Settings], Server]
    ) -> None:
        """``load`` reads the settings anew for each start; it may raise ``SettingsError``."""
        self._load = load
        self._make_server = make_server
        self._server: Server | None = None
        self._settings: Settings | None = None
        self._status = Status()
        self._checking = False
        self._lock = threading.Lock()
        self._watchers: list[Callable[[Status], None]] = []
        self._intents: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="control", daemon=True)
        self._worker.start()

    @property
    def status(self) -> Status:
        return self._status

    def admit(self, address: str) -> str:
        """``address`` of a page, with a one-use ticket where our own window would need a key."""
        server, status = self._server, self._status
        gateway = server.gateway if server is not None else None
        ours = address.startswith(status.base_url + "/")
        if gateway is None or not ours or not gateway.access.asks_itself:
            return address
        path = address.removeprefix(status.base_url)
        query = urlencode({"ticket": gateway.tickets.issue(), "to": path})
        return f"{status.base_url}/login?{query}"

    def watch(self, watcher: Callable[[Status], None]) -> None:
        """Call ``watcher`` with the snapshot of now and then with every new one, in their order.

        From a thread that is not the desktop's.
        """
        with self._lock:
            self._watchers.append(watcher)
            watcher(self._status)

    # Intents

    def start(self) -> None:
        self._intents.put(self._start)

    def stop(self) -> None:
        self._intents.put(self._stop)

    def restart(self) -> None:
        self._intents.put(self._restart)

    def accept_port(self, port: int) -> None:
        """Serve on ``port`` from now on, and remember it."""
        self._intents.put(lambda: self._accept_port(port))

    def change(self, name: str, value: object) -> None:
        """Change one live setting, and save it."""
        self._ask(lambda gateway: gateway.change(name, value))

    def check_account(self) -> None:
        """Ask Google anew who is behind the upstream."""
        self._ask(self._check)

    def quit(self) -> None:
        """Stop the server and then the worker; ``join`` waits for both."""
        self._intents.put(self._stop)
        self._intents.put(None)

    def join(self) -> None:
        self._worker.join()

    # The worker thread

    def _work(self) -> None:
        while (intent := self._intents.get()) is not None:
            try:
                intent()
            except Exception:
                # The thread must outlive one intent: without it the tray would be dead.
                log.exception("An intent failed")

    def _ask(self, work: Callable[[Gateway], Coroutine[None, None, None]]) -> None:
        self._intents.put(lambda: self._in_server(work))

    def _in_server(self, work: Callable[[Gateway], Coroutine[None, None, None]]) -> None:
        """Begin what only a running server can do. Not waited for: Google may take its time, and a
        stop must not.
        """
        server = self._server
        if server is not None and server.gateway is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                server.submit(work(server.gateway)).add_done_callback(_tell)

    async def _check(self, gateway: Gateway) -> None:
        self._checking = True
        self._show(self._status)
        try:
            await gateway.check_account()
        finally:
            self._checking = False
            self._show(self._status)

    def _start(self) -> None:
        if self._server is not None:
            return
        self._show(replace(self._status, phase="starting", trouble=None))
        try:
            fresh, last = self._load().settings, self._settings
            settings = self._settings = fresh.keeping(last) if last else fresh
            self._show(replace(self._status, host=settings.own_host, port=settings.port))
            server = self._make_server(settings)
            gateway = server.start()
        except SettingsError as error:
            given = error.source in ("command line", "environment")
            self._fail(Trouble(str(error), in_given=given))
        except PortInUseError as error:
            found = conflict(error)
            self._fail(Trouble(found.message, found.free))
        except Exception as error:
            log.exception("The server could not be started")
            self._fail(Trouble(f"The server could not be started: {error}"))
        else:
            self._server = server
            gateway.on_restart = self.restart
            server.submit(self._follow(server, gateway))
            threading.Thread(target=self._await_end, args=(server,), daemon=True).start()

    def _stop(self, *, leads_to: Phase = "stopped") -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if server.gateway is not None:
            self._settings = server.gateway.next_settings
        self._show(replace(self._status, phase="stopping"))
        server.stop()
        self._show(replace(self._status, phase=leads_to, running=0, queued=0))

    def _restart(self) -> None:
        self._stop(leads_to="starting")
        self._start()

    def _accept_port(self, port: int) -> None:
        settings = self._settings
        if settings is None:
            return
        self._stop()
        self._settings = settings.with_value("PORT", port)
        try:
            settings_file.save(settings.data_dir, {"PORT": port})
        except OSError as error:
            log.warning("PORT could not be saved: %s", error)
        self._start()

    def _await_end(self, server: Server) -> None:
        server.join()
        self._intents.put(lambda: self._ended(server))

    def _ended(self, server: Server) -> None:
        """A server that nobody stopped has ended."""
        if self._server is server:
            self._server = None
            known = isinstance(server.failure, PortLostError)
            message = "The server ended unexpectedly; the log says why."
            self._fail(Trouble(str(server.failure) if known else message))

    def _fail(self, trouble: Trouble) -> None:
        self._show(replace(self._status, phase="stopped", running=0, queued=0, trouble=trouble))

    # Snapshots

    async def _follow(self, server: Server, gateway: Gateway) -> None:
        """In the server's loop: show every change of its state."""
        follower = Follower(gateway)
        with gateway.usage.feed() as changes:
            while not gateway.stopping.is_set():
                self._show(follower.seen(read_status(gateway)), server)
                busy = self._status.running or self._status.queued
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S if busy else follower.rest_s()):
                        follower.note(await changes.get())
                    await asyncio.sleep(SETTLE_S)
                while not changes.empty():
                    follower.note(changes.get_nowait())

    def _show(self, status: Status, seen_in: Server | None = None) -> None:
        """``seen_in``: the server it was read from; dropped when that one is no longer ours."""
        with self._lock:
            status = replace(status, checking=self._checking)
            gone = seen_in is not None and seen_in is not self._server
            if gone or status == self._status:
                return
            self._status = status
            for watcher in self._watchers:
                watcher(status)


def _tell(done: "Future[None]") -> None:
    """Log how something that nobody waited for has ended."""
    if done.cancelled():
        log.info("The server stopped before that could be done")
        return
    error = done.exception()
    if isinstance(error, ProxyError | SettingsError):
        log.warning("%s", error)
    elif error is not None:
        log.error("An intent failed", exc_info=error)
