"""Gemini API Proxy: the composition root.

Reads the command line, puts settings, server and pages together, and runs them: in the tray where
there is one, else alone. Exit codes: 0 ok, 1 anything else, 2 wrong arguments or settings, 3 port
in use, 130 Ctrl-C (contract section 1).
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from server import __version__
from server.connect.words import add_arguments
from server.edge.access import Access
from server.errors import ProxyError
from server.gemini.models import use_own_models
from server.host.banner import account_lines, start_lines, token_lines
from server.host.control import Controller
from server.host.doctor import Check, render, report
from server.host.gateway import Gateway
from server.host.local_endpoints import Application
from server.host.ports import conflict
from server.host.runtime import PortInUseError, Server
from server.logs import configure_logging, log_crashes
from server.settings import load as settings_file
from server.settings.load import Loaded, Settings, SettingsError
from tray import window
from tray.app import App, Parts
from tray.autostart import Autostart
from tray.clipboard import copy
from tray.doctor import checks
from tray.ends import ends
from tray.folders import open_folder
from tray.instance import Desk, Lock, ask_first
from tray.menu import APP_NAME
from tray.opener import Opener
from tray.selftest import Report, SelfTest, Step

OK, FAILED, WRONG_SETTINGS, PORT_IN_USE, INTERRUPTED = 0, 1, 2, 3, 130


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gemini-api-proxy",
        description="A local gateway to Gemini for tools that speak the OpenAI or Anthropic API.",
    )
    parser.add_argument("--headless", action="store_true", help="server only, no tray")
    parser.add_argument("--hidden", action="store_true", help="start without opening a window")
    parser.add_argument(
        "--upstream", metavar="NAME", help="code-assist, gemini-api, vertex, demo, auto"
    )
    parser.add_argument("--host", help="listening addresses, comma separated")
    parser.add_argument("--port", help="server port")
    parser.add_argument("--data-dir", metavar="DIR", help="folder for settings, tokens and usage")
    parser.add_argument("--window", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--self-test", action="store_true", help="try the desktop app once through")
    parser.add_argument("--report", metavar="FILE", help="where --self-test writes its JSON")
    parser.add_argument("--doctor", action="store_true", help="print diagnostics, without secrets")
    parser.add_argument("--show-key", action="store_true", help="print the API key and exit")
    parser.add_argument("--version", action="version", version=f"gemini-api-proxy {__version__}")
    add_arguments(parser.add_subparsers(dest="command", metavar="connect"))
    return parser


@dataclass(frozen=True, slots=True)
class Start:
    """What the command line asked for."""

    given: Mapping[str, str]
    """Settings named on it."""
    data_dir: Path
    open_window: bool

    def load(self, *, everywhere: bool = False) -> Loaded:
        """Read the settings, and the user's own table of models. Raises ``SettingsError``.

        ``everywhere``: HOST when nobody set it.
        """
        loaded = settings_file.load(self.given, listen_everywhere=everywhere)
        use_own_models(loaded.settings.data_dir)
        return loaded


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    open_streams()
    leave_bundle()
    options = arguments().parse_args(argv)
    given = settings_in(options)
    data_dir = settings_file.data_folder(given)
    if options.window:
        return window.run(data_dir / "webview")
    if options.self_test:
        return self_test(options.report)
    start = Start(given, data_dir, open_window=not options.hidden)
    try:
        loaded = start.load(everywhere=options.headless)
    except SettingsError as error:
        on_screen = not (options.headless or options.show_key or options.command)
        return wrong_settings(error, start if on_screen else None)
    if options.show_key:
        return show_key(loaded.settings)
    if options.command == "connect":
        return connect(options, loaded.settings)
    configure_logging(loaded.settings)
    if options.doctor:
        print(render(report(loaded.settings, desktop_checks())), flush=True)
        return OK
    for warning in loaded.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    code = None if options.headless else desktop(start, fall_back=loaded.settings)
    if code is not None:
        return code
    return alone(loaded.settings, lambda: start.load(everywhere=options.headless))


def wrong_settings(error: SettingsError, start: Start | None) -> int:
    """A bad file can be mended while the tray says so; a bad command line cannot."""
    if error.source == "settings.toml" and start is not None:
        code = desktop(start)
        if code is not None:
            return code
    print(error, file=sys.stderr)
    return WRONG_SETTINGS


def connect(options: argparse.Namespace, settings: Settings) -> int:
    """Run ``connect``, whose reader may go (``| head``) and whose user may press Ctrl-C."""
    from server.connect.console import Console  # noqa: PLC0415  # a server need not pay for it

    try:
        code = Console.here(options, settings, print, input).run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes at its end
        return FAILED
    return code


def settings_in(options: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line names."""
    named = {
        "UPSTREAM": options.upstream,
        "HOST": options.host,
        "PORT": options.port,
        "DATA_DIR": options.data_dir,
    }
    return {name: value for name, value in named.items() if value is not None}


def open_streams() -> None:
    """Streams that take any text.

    A windowed program on Windows and macOS has none; writing to None would raise. Those of a
    terminal may know few letters (cp1252): a file's path or a user's own words show ``?`` there.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def leave_bundle() -> None:
    """Give the programs that we start the system's libraries: a browser, WebKit's processes.

    On Linux, PyInstaller points the dynamic linker of this process and its children into the
    bundle; our own process has read that already (*Run-time Information*, ``LD_LIBRARY_PATH``).
    """
    if getattr(sys, "frozen", False) and sys.platform == "linux":
        before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
        os.environ.pop("LD_LIBRARY_PATH", None)
        if before is not None:
            os.environ["LD_LIBRARY_PATH"] = before


def alone(settings: Settings, load: Callable[[], Loaded], *, browse: bool = False) -> int:
    """Serve without a tray, and end where it cannot. ``load`` reads the settings anew."""
    try:
        return serve(settings, load, open_browser=browse)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return WRONG_SETTINGS
    except PortInUseError as error:
        print(port_in_use(error), file=sys.stderr)
        return PORT_IN_USE


# The desktop app


def desktop(start: Start, *, fall_back: Settings | None = None) -> int | None:
    """Run in the tray. None where there is none and nothing to fall back to."""
    from tray import icon  # noqa: PLC0415  # Pillow and a toolkit: 0.3 s that a server need not pay

    try:
        pystray = icon.load()
    except icon.NoToolkitError as error:
        if fall_back is None:
            return None
        print(error, flush=True)
        return alone(fall_back, start.load, browse=error.has_display and start.open_window)
    lock = Lock(start.data_dir)
    try:
        if not lock.take():
            return second_launch(start.data_dir)
        return in_tray(start, pystray)
    except OSError as error:
        print(f"The data folder {start.data_dir} cannot be used: {error}", file=sys.stderr)
        return FAILED
    finally:
        lock.release()


def second_launch(data_dir: Path) -> int:
    """The app runs already: its window is what the user wants."""
    if ask_first(data_dir):
        print("Gemini API Proxy is already running; its window opens.")
        return OK
    from tray.dialog import tell  # noqa: PLC0415  # toolkits, which only this case needs

    text = "It is already running but does not answer. End its process, then start it again."
    print(f"Gemini API Proxy: {text}", file=sys.stderr, flush=True)
    tell(text)
    return FAILED


def in_tray(start: Start, pystray: Any) -> int:
    """The tray app of this data folder, until the user quits."""
    # settings.toml may be unreadable: then these defaults hold until it is mended.
    configure_logging(Settings(data_dir=start.data_dir), to_file=True)
    log_crashes(start.data_dir)
    make = partial(make_server, log_to_file=True)
    app, controller, desk, _ = joined(start, pystray, make)
    try:
        controller.start()
        number = app.run(open_window=start.open_window)
    finally:
        desk.close()
    trouble = controller.status.trouble
    if trouble is not None and trouble.in_given:
        print(trouble.message, file=sys.stderr)
        return WRONG_SETTINGS
    return INTERRUPTED if number == signal.SIGINT else OK


def joined(
    start: Start, pystray: Any, make: Callable[[Settings], Server]
) -> tuple[App, Controller, Desk, Opener]:
    """Put the desktop app together."""
    from tray.icon import Icon  # noqa: PLC0415  # see desktop()

    controller = Controller(start.load, make)
    desk = Desk(start.data_dir)
    folder = ("--data-dir", str(start.data_dir)) if "DATA_DIR" in start.given else ()
    opener = Opener(
        own_command("--window", "--data-dir", str(start.data_dir)),
        desk.address,
        admit=controller.admit,
    )
    config = os.environ.get("XDG_CONFIG_HOME")
    parts = Parts(
        controller=controller,
        opener=opener,
        autostart=Autostart(
            without_console(own_command("--hidden", *folder)),
            home=Path.home(),
            config=Path(config) if config else None,
        ),
        data_dir=start.data_dir,
        copy=copy,
        browse=webbrowser.open,
        open_folder=open_folder,
        diagnostics=lambda: diagnostics(start.load),
    )
    pictures = start.data_dir / "icons"
    app = App(parts, lambda on_action: Icon(pystray, on_action, pictures))
    desk.open(on_show=app.show_window, on_window=opener.attend)
    return app, controller, desk, opener


def create_pages(gateway: Gateway) -> Application:
    """Quart and the pages, imported with their first visitor (``server.host.local_endpoints``)."""
    from webui import pages  # noqa: PLC0415  # as said

    return pages.create_pages(gateway, checks=desktop_checks())


def make_server(
    settings: Settings, *, log_to_file: bool = False, on_end: Callable[[], None] = lambda: None
) -> Server:
    configure_logging(settings, to_file=log_to_file)
    return Server(settings, create_pages, announce=announce, on_end=on_end)


def diagnostics(load: Callable[[], Loaded]) -> str:
    try:
        return render(report(load().settings, desktop_checks()))
    except SettingsError as error:
        return str(error)


def desktop_checks() -> tuple[Check, ...]:
    """What the doctor looks at besides the server."""
    config = os.environ.get("XDG_CONFIG_HOME")
    return checks(
        Autostart(own_command(), home=Path.home(), config=Path(config) if config else None)
    )


def own_command(*more: str) -> list[str]:
    """How this very program is started again, from source as well as packaged."""
    if not getattr(sys, "frozen", False):
        return [sys.executable, str(Path(__file__).resolve()), *more]
    program = Path(sys.executable)
    if sys.platform == "win32":  # of the two there, the one that opens no console
        program = program.with_name(f"{APP_NAME}.exe")
    return [str(program), *more]


def without_console(command: list[str]) -> list[str]:
    """On Windows, from source: Python's own program that opens no console, where it is there."""
    quiet = Path(command[0]).with_name("pythonw.exe")
    if sys.platform == "win32" and Path(command[0]).name == "python.exe" and quiet.exists():
        return [str(quiet), *command[1:]]
    return command


def self_test(file: str | None) -> int:
    """The app once through, on the demo upstream and in a folder of its own."""
    from tray import icon  # noqa: PLC0415  # see desktop()

    done = Report()
    with tempfile.TemporaryDirectory() as folder:
        port = str(free_port())
        given = {"UPSTREAM": "demo", "HOST": "127.0.0.1", "PORT": port, "DATA_DIR": folder}
        start = Start(given, Path(folder), open_window=False)
        try:
            pystray = icon.load()
        except icon.NoToolkitError as error:
            done.steps.append(Step("the tray", ok=False, seconds=0, detail=str(error)))
        else:
            app, controller, desk, opener = joined(start, pystray, make_server)
            test = SelfTest(controller, opener, app.end)
            done = test.report
            controller.start()
            test.begin()
            app.run(open_window=False)
            desk.close()
    done.write(Path(file) if file else None)
    for step in done.steps:
        print(f"{'ok  ' if step.ok else 'FAIL'} {step.name} ({step.seconds} s) {step.detail}")
    return OK if done.ok else FAILED


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# The server alone


def show_key(settings: Settings) -> int:
    """Print the key that clients from elsewhere must send."""
    access = Access(settings)
    access.ensure_key()
    for key in access.keys:
        print(key)
    return OK


News = tuple[Server | None, int | None]
"""A server and None: its pages ask for a restart; both: it has ended by itself; a code only: a
signal."""


def serve(settings: Settings, load: Callable[[], Loaded], *, open_browser: bool) -> int:
    """Serve until SIGTERM, SIGHUP (0) or Ctrl-C (130), through every restart that pages ask for."""
    news: SimpleQueue[News] = SimpleQueue()

    def finish(number: int, _frame: object) -> None:
        news.put((None, INTERRUPTED if number == signal.SIGINT else OK))

    for number in ends():  # before the banner invites to use them
        signal.signal(number, finish)
    server = launched(settings, news)
    if open_browser:
        webbrowser.open(f"http://{settings.own_host}:{settings.port}/")
    while True:
        with contextlib.suppress(Empty):
            # On Windows a wait without end would not hear Ctrl-C.
            about, code = news.get(timeout=0.5 if sys.platform == "win32" else None)
            if about not in (None, server):
                continue
            server.stop()
            if server.failure is not None:
                print(server.failure, file=sys.stderr)
            if code is not None:
                return code
            server = relaunched(server, load, news)


def launched(settings: Settings, news: "SimpleQueue[News]") -> Server:
    server = make_server(settings, on_end=lambda: news.put((server, FAILED)))
    server.start().on_restart = lambda: news.put((server, None))
    return server


def relaunched(server: Server, load: Callable[[], Loaded], news: "SimpleQueue[News]") -> Server:
    """The next server, on what was saved; on what the last one had, where that cannot be used."""
    gateway = server.gateway
    if gateway is None:
        return launched(server.settings, news)
    try:
        return launched(load().settings.keeping(gateway.next_settings), news)
    except (SettingsError, PortInUseError) as error:
        print(f"{error} The server goes on with the settings it had.", file=sys.stderr, flush=True)
        return launched(gateway.settings, news)


async def announce(gateway: Gateway) -> None:
    """The banner: where the server is, then, once Google has told, who is behind it."""
    key_is_new = gateway.access.ensure_key()
    print("\n".join(start_lines(gateway, key_is_new=key_is_new)), flush=True)
    await gateway.check_account()
    lines = account_lines(gateway)
    if gateway.settings.show_token and gateway.tokens.signed_in:
        try:
            lines += token_lines(await gateway.tokens.access_token())
        except ProxyError as error:
            lines.append(f"  SHOW_TOKEN: {error.message}")
    print("\n".join(lines), flush=True)
    await gateway.check_until_reached()


def port_in_use(error: PortInUseError) -> str:
    """Who holds the port, as far as it can be told, and which one is free."""
    found = conflict(error)
    return found.message + (f" Free: --port {found.free}." if found.free else "")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(main())
