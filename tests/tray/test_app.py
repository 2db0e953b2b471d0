"""The app with a stand-in for the desktop: which click leads to which intent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import pytest

from server.host.control import Controller, Status, Trouble
from tests.support import HANGS_S
from tray.app import App, Parts
from tray.autostart import Autostart
from tray.menu import Action, Item, Notice, Shape
from tray.opener import Opener

UP = Status(phase="running", upstream="demo", authenticated=True)


class Calls:
    """Takes every call and notes it."""

    def __init__(self, calls: SimpleQueue[tuple[Any, ...]]) -> None:
        self._calls = calls
        self.status = UP
        self.first: Status | None = None
        """What a watcher is told first, where that is no longer the state of now."""
        self.tell: Callable[[Status], None] = lambda _: None

    def watch(self, watcher: Callable[[Status], None]) -> None:
        self.tell = watcher
        watcher(self.first or self.status)

    def enabled(self) -> bool:
        return False

    def join(self) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: self._calls.put((name, *given, *named.values()))


class Window(Calls):
    """The opener; ``is_open`` and ``shown`` as a test wants them."""

    is_open = False
    shown = ""


class Desktop:
    """Shows nothing; remembers the last state."""

    def __init__(self) -> None:
        self.shown: SimpleQueue[tuple[Shape, str, tuple[Item | None, ...]]] = SimpleQueue()
        self.notices: SimpleQueue[Notice] = SimpleQueue()
        self._stopped: SimpleQueue[bool] = SimpleQueue()
        self.script: Callable[[Callable[[int], None]], None] = lambda _: None

    def run(self, on_signal: Callable[[int], None]) -> None:
        self.script(on_signal)
        self._stopped.get(timeout=HANGS_S)

    def stop(self) -> None:
        self._stopped.put(True)

    def show(self, shape: Shape, tooltip: str, items: tuple[Item | None, ...]) -> None:
        self.shown.put((shape, tooltip, items))

    def notify(self, notice: Notice) -> None:
        self.notices.put(notice)


class Bench:
    """The app and everything around it."""

    def __init__(self, folder: Path) -> None:
        self.calls: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self.control = Calls(self.calls)
        self.window = Window(self.calls)
        self.desktop = Desktop()
        self.folders_open = True
        parts = Parts(
            controller=cast("Controller", self.control),
            opener=cast("Opener", self.window),
            autostart=cast("Autostart", Calls(self.calls)),
            data_dir=folder,
            copy=self.copy,
            browse=lambda url: self.calls.put(("browse", url)),
            open_folder=self.open_folder,
            diagnostics=lambda: "all is well",
        )
        self.app = App(parts, lambda _: self.desktop)

    def open_folder(self, folder: Path) -> bool:
        self.calls.put(("open folder", folder))
        return self.folders_open

    def copy(self, text: str) -> bool:
        self.calls.put(("copy", text))
        return True

    def run(self, *actions: Action) -> list[tuple[Any, ...]]:
        """The calls that the actions lead to, up to the end."""
        for action in actions:
            self.app.act(action)
        self.app.act(Action("quit"))
        assert self.app.run(open_window=False) == 0
        return [self.calls.get() for _ in range(self.calls.qsize())]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


END = [("quit",), ("close",)]


@pytest.mark.parametrize(
    ("action", "call"),
    [
        (Action("open", "/setup"), ("open", "http://127.0.0.1:8081/setup")),
        (Action("copy", "http://x/v1"), ("copy", "http://x/v1")),
        (Action("copy", "diagnostics"), ("copy", "all is well")),
        (Action("start"), ("start",)),
        (Action("stop"), ("stop",)),
        (Action("restart"), ("restart",)),
        (Action("accept port", value=8082), ("accept_port", 8082)),
        (Action("change", "WAIT_MODE", value=True), ("change", "WAIT_MODE", True)),
        (Action("browse", "https://google"), ("browse", "https://google")),
        (Action("check account"), ("check_account",)),
        (Action("autostart", value=True), ("set", True)),
    ],
)
def test_every_action_is_one_intent(bench: Bench, action: Action, call: tuple[Any, ...]) -> None:
    assert bench.run(action) == [call, *END]


def test_the_data_folder_is_opened(bench: Bench, tmp_path: Path) -> None:
    bench.folders_open = False
    assert bench.run(Action("open folder"))[0] == ("open folder", tmp_path)
    assert str(tmp_path) in bench.desktop.notices.get_nowait().message


@pytest.mark.parametrize(("upstream", "page"), [(None, "/setup"), ("demo", "/")])
def test_the_window_opens_once_where_the_user_has_to_choose(
    bench: Bench, upstream: str | None, page: str
) -> None:
    def script(on_signal: Callable[[int], None]) -> None:
        bench.control.tell(bench.control.status)
        on_signal(15)

    bench.control.status = replace(UP, upstream=upstream)
    bench.desktop.script = script
    bench.app.run(open_window=True)
    calls = [bench.calls.get() for _ in range(bench.calls.qsize())]
    assert calls == [("open", "http://127.0.0.1:8081" + page), *END]


def test_a_stopped_server_has_a_page_of_its_own(bench: Bench) -> None:
    bench.control.status = Status()
    (verb, address), *rest = bench.run(Action("open", "/"))
    assert (verb, rest) == ("open", END)
    assert address.startswith("http://127.0.0.1:")
    assert not address.startswith("http://127.0.0.1:8081")


def test_the_window_follows_the_server_down_up_and_to_another_port(bench: Bench) -> None:
    bench.window.is_open, bench.window.shown = True, "http://127.0.0.1:8081/settings?saved=PORT"
    down = Status(trouble=Trouble("Port 8081 is in use.", 8082))

    def script(on_signal: Callable[[int], None]) -> None:
        for status in (replace(UP, running=1), down, down, replace(UP, port=8082)):
            bench.control.tell(status)
        on_signal(15)

    bench.desktop.script = script
    bench.app.run(open_window=False)
    calls = [bench.calls.get() for _ in range(bench.calls.qsize())]
    assert [verb for verb, *_ in calls] == ["turn", "turn", "quit", "close"]
    assert "8081" not in calls[0][1]
    assert calls[1] == ("turn", "http://127.0.0.1:8082/settings?saved=PORT")


def test_a_restart_brings_the_window_back_to_its_page(bench: Bench) -> None:
    bench.window.is_open, bench.window.shown = True, "http://127.0.0.1:8081/help"

    def script(on_signal: Callable[[int], None]) -> None:
        for phase in ("stopping", "starting", "running"):
            bench.control.tell(replace(UP, phase=phase))
        on_signal(15)

    bench.desktop.script = script
    bench.app.run(open_window=False)
    calls = [bench.calls.get() for _ in range(bench.calls.qsize())]
    assert calls == [("turn", "http://127.0.0.1:8081/help"), *END]


def test_a_start_that_fails_opens_the_window_on_the_reason(bench: Bench) -> None:
    def script(on_signal: Callable[[int], None]) -> None:
        bench.control.tell(bench.control.status)
        on_signal(15)

    bench.desktop.script = script
    bench.control.status = Status(trouble=Trouble("Port 8081 is in use.", 8082))
    bench.app.run(open_window=True)
    calls = [bench.calls.get() for _ in range(bench.calls.qsize())]
    assert [verb for verb, *_ in calls] == ["open", "quit", "close"]


def test_the_same_state_is_shown_once(bench: Bench) -> None:
    def script(on_signal: Callable[[int], None]) -> None:
        for status in (UP, UP, replace(UP, queued=1), UP):
            bench.control.tell(status)
        on_signal(15)

    bench.desktop.script = script
    assert bench.app.run(open_window=False) == 15
    shapes = [bench.desktop.shown.get()[0] for _ in range(bench.desktop.shown.qsize())]
    assert shapes == ["running", "busy", "running"]


def test_trouble_that_comes_during_the_start_is_told_once(bench: Bench) -> None:
    """The controller may be further than what the app has been told of so far."""
    starting, broken = Status(phase="starting"), Status(trouble=Trouble("No."))
    bench.control.first, bench.control.status = starting, broken

    def script(on_signal: Callable[[int], None]) -> None:
        for status in (starting, broken):
            bench.control.tell(status)
        on_signal(15)

    bench.desktop.script = script
    bench.app.run(open_window=False)
    assert bench.desktop.notices.qsize() == 1


def test_trouble_from_before_the_app_is_told(bench: Bench) -> None:
    bench.control.status = Status(trouble=Trouble("No."))
    bench.run()
    assert bench.desktop.notices.qsize() == 1


def test_a_mistake_in_the_command_line_ends_the_app(bench: Bench) -> None:
    bench.desktop.script = lambda _: bench.control.tell(
        Status(trouble=Trouble("HOST: …", in_given=True))
    )
    assert bench.app.run(open_window=False) == 0
    assert bench.desktop.notices.empty()
