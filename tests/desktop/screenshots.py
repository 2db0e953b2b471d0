"""``make screenshots``: the tray menu in its states, in a panel under Xvfb, and the icons.

A real panel (trayer), a real window manager (openbox), a real mouse (xdotool).
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import httpx
from PIL import Image

from tests.desktop.conftest import Program, Starter, chat, private_bus, private_screen
from tests.desktop.google import google_at, signed_in
from tests.google import account
from tests.google.google import FakeGoogle
from tests.support import free_port
from tray.glyph import Theme, glyph
from tray.menu import Shape

TO = Path("build/screenshots")
NEEDED = ("Xvfb", "dbus-daemon", "trayer", "openbox", "xdotool", "import")
HEIGHT = 28
PANEL = ("trayer", "--edge", "bottom", "--align", "right", "--widthtype", "request", "--height")
SIZES = (16, 22, 32, 44, 64)
PANELS: dict[Theme, tuple[int, int, int]] = {"light": (236, 236, 236), "dark": (40, 40, 44)}
SETTLED_S = 2.0
"""The menu follows the server, the panel follows the menu; nothing tells when both have."""


def icons() -> None:
    """Every icon in every size, on light and dark panels, with and without a known theme."""
    for name, colour in PANELS.items():
        looks: tuple[Theme, ...] = (name, "any")
        sheet = Image.new("RGB", (70 * len(SIZES), 70 * len(get_args(Shape)) * len(looks)), colour)
        rows = [(shape, theme) for theme in looks for shape in get_args(Shape)]
        for row, (shape, theme) in enumerate(rows):
            for column, size in enumerate(SIZES):
                picture = glyph(shape, size=size, theme=theme)
                sheet.paste(picture, (70 * column + 3, 70 * row + 3), picture)
        sheet.save(TO / f"tray-icons-{name}.png")


class Desktop:
    """A screen with a window manager and a panel."""

    def __init__(self, display: str, address: str) -> None:
        self.environ = {**os.environ, "DISPLAY": display, "DBUS_SESSION_BUS_ADDRESS": address}

    def run(self, *command: str) -> str:
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=False
        ).stdout.strip()

    @contextlib.contextmanager
    def beside(self, *command: str) -> Iterator[None]:
        """A program for as long as this lasts."""
        process = subprocess.Popen(command, env=self.environ, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)

    def shoot(self, name: str) -> None:
        """Open the menu of the only icon in the panel, and take the picture."""
        panel = until(lambda: self.run("xdotool", "search", "--class", "trayer").split())[-1]
        place = dict(
            line.split("=", 1)
            for line in self.run("xdotool", "getwindowgeometry", "--shell", panel).splitlines()
        )
        x = int(place["X"]) + int(place["WIDTH"]) - HEIGHT // 2
        y = int(place["Y"]) + HEIGHT // 2
        self.run("xdotool", "mousemove", str(x), str(y), "click", "1")
        time.sleep(SETTLED_S / 2)
        self.run("xdotool", "mousemove", "40", "40")
        time.sleep(SETTLED_S / 4)
        self.picture(f"tray-{name}")
        self.run("xdotool", "key", "Escape", "Escape")

    def picture(self, name: str) -> None:
        """What is on the screen, without the empty part of it."""
        file = TO / f"{name}.png"
        self.run("import", "-window", "root", str(file))
        with Image.open(file) as whole:
            whole.convert("RGB").crop(whole.convert("RGB").getbbox()).save(file)


def until(look: Callable[[], list[str]]) -> list[str]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise TimeoutError


def wait_for(program: Program) -> None:
    until(lambda: ["yes"] if program.answers() else [])
    time.sleep(SETTLED_S)


def ask(program: Program) -> None:
    """A request that nobody waits for; it ends with the program."""

    def post() -> None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(
                program.url + "/v1/chat/completions",
                content=chat("Hello"),
                headers={"content-type": "application/json"},
                trust_env=False,
                timeout=60,
            )

    threading.Thread(target=post, daemon=True).start()


def render(desktop: Desktop, start: Callable[[str], Starter]) -> None:
    google = FakeGoogle()
    google.quota = {"gemini-2.5-pro": 0.62, "gemini-2.5-flash": 0.9}
    with google_at(google) as base_url:
        begin = start("running")
        free = {**signed_in(google, base_url, begin.data), "UPSTREAM": ""}
        with begin("--hidden", port=8081, **free) as program:
            wait_for(program)
            desktop.shoot("running")
        slowly = signed_in(google, base_url, begin.data)
        slowly |= {"RATE_LIMIT": "600", "WAIT_MODE": "true"}
        with begin("--hidden", port=8081, **slowly) as program:
            wait_for(program)
            for _ in range(4):
                ask(program)
            time.sleep(SETTLED_S)
            desktop.shoot("queueing")
    refused = FakeGoogle(account=account.unsupported_client())
    with google_at(refused) as base_url:
        begin = start("refused")
        free = {**signed_in(refused, base_url, begin.data), "UPSTREAM": ""}
        with begin("--hidden", port=8081, **free) as program:
            wait_for(program)
            desktop.shoot("refused")
    with start("nobody")("--hidden", port=8081, UPSTREAM="auto") as program:
        wait_for(program)
        desktop.shoot("sign-in")
    begin = start("mistake")
    begin.data.mkdir()
    (begin.data / "settings.toml").write_text('WAIT_MODE = "maybe"\n')
    with begin("--hidden", port=8081):
        time.sleep(4 * SETTLED_S)
        desktop.shoot("settings-mistake")
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        start("taken")("--hidden", port=port, HOST="127.0.0.1"),
    ):
        time.sleep(4 * SETTLED_S)
        desktop.shoot("port-in-use")
    with (
        socket.create_server(("127.0.0.1", port)),
        start("window")(port=port, HOST="127.0.0.1") as program,
    ):
        until(lambda: ["yes"] if "The window shows" in program.log() else [])
        time.sleep(SETTLED_S)
        desktop.picture("window-stopped")


def main() -> int:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        sys.exit(f"Missing for the pictures of the tray: {', '.join(missing)}")
    TO.mkdir(parents=True, exist_ok=True)
    icons()
    with (
        tempfile.TemporaryDirectory() as name,
        private_screen() as display,
        private_bus() as address,
    ):

        def start(state: str) -> Starter:
            folder = Path(name) / state
            folder.mkdir()
            return Starter(folder, display, address)

        desktop = Desktop(display, address)
        with desktop.beside("openbox"), desktop.beside(*PANEL, str(HEIGHT)):
            render(desktop, start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
