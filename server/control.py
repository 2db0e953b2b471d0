"""What the tray may ask of the server, and the one snapshot it may show.

Intents (``start``, ``stop``, ``change``, …) return at once: one worker thread carries them out, one
after the other, so that a menu callback never blocks the desktop. The answer to every intent is a
new ``Status``, handed to whoever watches; nobody keeps a truth of his own.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Literal

from server import settings as settings_file
from server.eligibility import Problem
from server.errors import ProxyError
from server.gateway import Gateway
from server.options import ALL_OPTIONS
from server.ports import conflict
from server.runtime import PortInUseError, PortLostError, Server
from server.settings import Loaded, Settings, SettingsError

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
"""How often a running request or a queue is looked at; with neither, nothing wakes up."""

SETTLE_S = 0.1
"""Changes closer together than this are shown as one."""

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

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def read_status(gateway: Gateway) -> Status:
    """The snapshot of a running server; called in its loop."""
    settings, state = gateway.settings, gateway.status()
    return Status(
        phase="running",
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
        pinned=frozenset(name for name in settings.sources if settings.pinned(name)),
    )


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
        self._lock = threading.Lock()
        self._watchers: list[Callable[[Status], None]] = []
        self._intents: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._worker = threading.Thread(target=self._work, name="control", daemon=True)
        self._worker.start()

    @property
    def status(self) -> Status:
        return self._status

    def watch(self, watcher: Callable[[Status], None]) -> None:
        """Call ``watcher`` with every new snapshot, from a thread that is not the desktop's."""
        self._watchers.append(watcher)

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

    def sign_out(self) -> None:
        self._ask(lambda gateway: gateway.sign_out())

    def check_account(self) -> None:
        """Ask Google anew who is behind the upstream."""
        self._ask(_check)

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
        """Carry out what only a running server can do."""
        server = self._server
        if server is None or server.gateway is None:
            return
        try:
            server.submit(work(server.gateway)).result()
        except (ProxyError, SettingsError) as error:
            log.warning("%s", error)
        except (CancelledError, RuntimeError):
            log.info("The server stopped before that could be done")

    def _start(self) -> None:
        if self._server is not None:
            return
        self._show(replace(self._status, phase="starting", trouble=None))
        try:
            settings = self._settings = self._carry_over(self._load().settings)
            self._show(replace(self._status, port=settings.port))
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
            server.submit(self._follow(server, gateway))
            threading.Thread(target=self._await_end, args=(server,), daemon=True).start()

    def _carry_over(self, fresh: Settings) -> Settings:
        """What was changed here wins, within one run, over command line and environment."""
        last = self._settings
        if last is None:
            return fresh
        changed = [n for n in fresh.sources if fresh.pinned(n) and not last.pinned(n)]
        for name in changed:
            fresh = fresh.with_value(name, getattr(last, ALL_OPTIONS[name].field))
        return fresh

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        if server.gateway is not None:
            self._settings = server.gateway.settings
        self._show(replace(self._status, phase="stopping"))
        server.stop()
        self._show(replace(self._status, phase="stopped", running=0, queued=0))

    def _restart(self) -> None:
        self._stop()
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
        with gateway.usage.feed() as changes:
            while not gateway.stopping.is_set():
                self._show(read_status(gateway), server)
                busy = self._status.running or self._status.queued
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changes.get(), LOOK_AGAIN_S if busy else None)
                    await asyncio.sleep(SETTLE_S)
                while not changes.empty():
                    changes.get_nowait()

    def _show(self, status: Status, seen_in: Server | None = None) -> None:
        """``seen_in``: the server it was read from; dropped when that one is no longer ours."""
        with self._lock:
            gone = seen_in is not None and seen_in is not self._server
            if gone or status == self._status:
                return
            self._status = status
            for watcher in self._watchers:
                watcher(status)


async def _check(gateway: Gateway) -> None:
    await gateway.check_account()
