"""The tray application: joins the controller, the menu and the window. Imports no toolkit."""

import logging
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol, assert_never
from urllib.parse import urlsplit

from server.host.control import Controller, Status
from tray.autostart import Autostart
from tray.ends import ends
from tray.menu import Action, Item, Notice, Shape, menu, notice, shape, tooltip
from tray.opener import Opener
from tray.standin import StandIn

log = logging.getLogger(__name__)


SIGNALS_S = 1.0
"""How often an app without its icon looks whether it was ended otherwise than by a signal."""


class Face(Protocol):
    """What shows the state; ``tray.icon.Icon`` outside tests."""

    def run(self, on_signal: Callable[[int], None]) -> None: ...
    def stop(self) -> None: ...
    def show(self, shape: Shape, tooltip: str, items: tuple[Item | None, ...]) -> None: ...
    def notify(self, notice: Notice) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the app is joined from."""

    controller: Controller
    opener: Opener
    autostart: Autostart
    data_dir: Path
    copy: Callable[[str], bool]
    browse: Callable[[str], object]
    open_folder: Callable[[Path], bool]
    diagnostics: Callable[[], str]


class App:
    """One run of the tray. A menu callback only puts its action into a queue."""

    def __init__(self, parts: Parts, make_face: Callable[[Callable[[Action], None]], Face]) -> None:
        """``make_face`` gets the callback for chosen items."""
        self._parts = parts
        self._before: Status | None = None
        self._shown: tuple[Shape, str, tuple[Item | None, ...]] | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._ended = False
        self._wanted: str | None = None
        """The page to show as soon as it is known where; empty: whichever suits."""
        self._page = "/"
        """Where the window is, or returns to when the server runs again."""
        self._stand_in = StandIn(lambda: parts.controller.status, self.act)
        self._signal: int | None = None
        self._face = make_face(self.act)
        self._worker = threading.Thread(target=self._work, name="tray", daemon=True)

    def run(self, *, open_window: bool) -> int:
        """Until the user quits; the number of the signal that ended it, or 0."""
        self._wanted = "" if open_window else None
        self._parts.controller.watch(lambda status: self._jobs.put(lambda: self._update(status)))
        self._worker.start()
        try:
            self._face.run(self._on_signal)
        except Exception as error:  # noqa: BLE001  # whatever a toolkit does: the server runs on
            self._without_face(error)
        self.end()
        self._worker.join()
        return self._signal or 0

    def _without_face(self, error: Exception) -> None:
        """The icon could not be kept: the browser shows the dashboard, and a signal ends it all."""
        print(f"The tray has failed ({error}); the dashboard opens in your browser.", flush=True)  # noqa: T201
        log.warning("The tray has failed", exc_info=error)
        news: SimpleQueue[int] = SimpleQueue()
        for number in ends():
            signal.signal(number, lambda got, _frame: news.put(got))
        self._parts.browse(self._parts.controller.status.base_url + "/")
        while self._signal is None and not self._ended:
            with suppress(Empty):
                self._signal = news.get(timeout=SIGNALS_S)

    def act(self, action: Action) -> None:
        """A menu item was chosen (on the desktop's thread)."""
        self._jobs.put(lambda: self._act(action))

    def show_window(self) -> None:
        """A second launch asks for the window."""
        self.act(Action("open", "/"))

    def _on_signal(self, number: int) -> None:
        self._signal = number
        self.act(Action("quit"))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                # The thread must outlive one job: without it the menu would be dead.
                log.exception("A menu action failed")

    def _update(self, status: Status) -> None:
        before, self._before = self._before, status
        if status.trouble is not None and status.trouble.in_given:
            self.end()
            return
        if self._wanted is not None and (status.phase == "running" or status.trouble is not None):
            self._open(self._wanted or ("/" if status.upstream or status.trouble else "/setup"))
        elif before and (before.phase, before.trouble) != (status.phase, status.trouble):
            self._turn(status)
        self._refresh(status)
        news = notice(before or Status(), status)
        if news is not None:
            self._face.notify(news)

    def _turn(self, status: Status) -> None:
        """A window that is open shows what has become of the server, and then goes on."""
        opener = self._parts.opener
        if status.phase not in ("running", "stopped") or not opener.is_open:
            return
        shown = urlsplit(opener.shown)
        if shown.path not in ("", "/login", self._stand_in.path):
            self._page = shown._replace(scheme="", netloc="", fragment="").geturl()
        running = status.phase == "running"
        opener.turn(status.base_url + self._page if running else self._stand_in.address)

    def _refresh(self, status: Status) -> None:
        """Only a change is shown: every refresh rebuilds the menu and closes an open one."""
        autostart = self._parts.autostart
        is_on = autostart.enabled()
        items = menu(status, autostart=is_on, vanished=bool(is_on) and autostart.broken())
        state = (shape(status), tooltip(status), items)
        if state != self._shown:
            self._shown = state
            self._face.show(*state)

    def _act(self, action: Action) -> None:  # noqa: C901, PLR0912  # one table, exhaustive
        controller, parts = self._parts.controller, self._parts
        match action.verb:
            case "open":
                self._open(action.name)
            case "copy":
                self._copy(action.name)
            case "start":
                controller.start()
            case "stop":
                controller.stop()
            case "restart":
                controller.restart()
            case "accept port":
                controller.accept_port(int(action.value or 0))
            case "change":
                controller.change(action.name, action.value)
            case "check account":
                controller.check_account()
            case "autostart":
                self._start_at_login(enabled=bool(action.value))
            case "open folder":
                self._open_folder(parts.data_dir)
            case "browse":
                parts.browse(action.name)
            case "quit":
                self.end()
            case _:
                assert_never(action.verb)

    def _start_at_login(self, *, enabled: bool) -> None:
        try:
            self._parts.autostart.set(enabled=enabled)
        except OSError as error:
            log.warning("Start at login could not be changed: %s", error)
            self._face.notify(Notice("Start at login could not be changed", str(error)))
        self._refresh(self._parts.controller.status)

    def _open_folder(self, folder: Path) -> None:
        if not self._parts.open_folder(folder):
            self._face.notify(Notice("The folder could not be opened", str(folder)))

    def _copy(self, text: str) -> None:
        if text != "diagnostics":
            self._parts.copy(text)
            return

        def diagnose() -> None:
            self._parts.copy(self._parts.diagnostics())

        # They ask Google, which may take its time; Quit must not wait for that.
        threading.Thread(target=diagnose, name="diagnostics", daemon=True).start()

    def _open(self, page: str) -> None:
        status = self._parts.controller.status
        if status.phase == "starting":
            self._wanted = page
            return
        self._wanted, self._page = None, page
        running = status.phase == "running"
        self._parts.opener.open(status.base_url + page if running else self._stand_in.address)

    def end(self) -> None:
        """Close the window, stop the server within two seconds, and leave ``run``."""
        if self._ended:
            return
        self._ended = True
        self._parts.controller.quit()
        self._parts.opener.close()
        self._stand_in.close()
        self._parts.controller.join()
        self._face.stop()
        self._jobs.put(None)
