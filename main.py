"""Gemini API Proxy: the composition root.

Reads the command line, puts settings, server and pages together, and runs them. Exit codes: 0 ok,
1 anything else, 2 wrong arguments or settings, 3 port in use, 130 Ctrl-C (contract section 1).
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
import urllib.request
import webbrowser
from pathlib import Path

from server import __version__
from server import settings as settings_file
from server.access import Access
from server.banner import account_lines, start_lines, token_lines
from server.doctor import examine, render
from server.errors import ProxyError
from server.gateway import Gateway
from server.logs import configure_logging
from server.runtime import PortInUseError, Server, next_free_port
from server.settings import Settings, SettingsError
from webui.pages import create_pages

OK, FAILED, WRONG_SETTINGS, PORT_IN_USE, INTERRUPTED = 0, 1, 2, 3, 130


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gemini-api-proxy",
        description="A local gateway to Gemini for tools that speak the OpenAI or Anthropic API.",
    )
    parser.add_argument("--headless", action="store_true", help="server only, no tray")
    parser.add_argument("--hidden", action="store_true", help="start without opening a window")
    parser.add_argument("--upstream", metavar="NAME", help="code-assist, gemini-api, demo or auto")
    parser.add_argument("--host", help="listening addresses, comma separated")
    parser.add_argument("--port", help="server port")
    parser.add_argument("--data-dir", metavar="DIR", help="folder for settings, tokens and usage")
    parser.add_argument("--show-key", action="store_true", help="print the API key and exit")
    parser.add_argument("--doctor", action="store_true", help="print diagnostics and exit")
    parser.add_argument("--version", action="version", version=f"gemini-api-proxy {__version__}")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = arguments().parse_args(argv)
    given = {
        name: value
        for name, value in (
            ("UPSTREAM", options.upstream),
            ("HOST", options.host),
            ("PORT", options.port),
            ("DATA_DIR", options.data_dir),
        )
        if value is not None
    }
    try:
        loaded = settings_file.load(given, listen_everywhere=options.headless)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return WRONG_SETTINGS
    settings = loaded.settings
    if options.show_key:
        return show_key(settings)
    configure_logging(settings)
    if options.doctor:
        print(render(asyncio.run(examine(settings))))
        return OK
    for warning in loaded.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    try:
        return serve(settings, open_browser=not (options.headless or options.hidden))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return WRONG_SETTINGS
    except PortInUseError as error:
        print(port_in_use(error), file=sys.stderr)
        return PORT_IN_USE


def show_key(settings: Settings) -> int:
    """Print the key that clients from elsewhere must send."""
    access = Access(settings)
    access.ensure_key()
    for key in access.keys:
        print(key)
    return OK


def serve(settings: Settings, *, open_browser: bool) -> int:
    """Serve until SIGTERM (0) or Ctrl-C (130)."""
    finished = threading.Event()
    code = OK

    def finish(number: int, _frame: object) -> None:
        nonlocal code
        code = INTERRUPTED if number == signal.SIGINT else OK
        finished.set()

    server = Server(settings, create_pages, announce=announce)
    for number in (signal.SIGINT, signal.SIGTERM):  # before the banner invites to use them
        signal.signal(number, finish)
    server.start()
    if open_browser:
        no_tray(settings)
    while server.running and not finished.wait(0.5 if sys.platform == "win32" else None):
        pass
    server.stop()
    return code


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


def no_tray(settings: Settings) -> None:
    """Until the tray exists: the dashboard in the default browser, where there is a screen."""
    has_screen = (
        sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not has_screen:
        print("No display: running without a tray.", flush=True)
        return
    print("The tray is not part of this version yet; the dashboard opens in your browser.")
    webbrowser.open(f"http://127.0.0.1:{settings.port}/")


def port_in_use(error: PortInUseError) -> str:
    """Who holds the port, as far as it can be told, and which one is free."""
    free = next_free_port(error.host, error.port)
    hint = f" Free: --port {free}." if free else ""
    return f"{error} {_holder(error.port)}{hint}"


def _holder(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            ours = b'"wait_mode"' in answer.read(2000)
    except OSError:
        ours = False
    if ours:
        return "Gemini API Proxy is already running there."
    return "Another program listens there."


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    sys.exit(main())
