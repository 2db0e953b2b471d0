"""The real window: Google's page opens in the system's browser, the window waits and goes on."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.desktop.conftest import MAIN, Starter
from tests.desktop.test_tray import shown, wait

if TYPE_CHECKING:
    from tests.desktop.panel import Panel

FOCUSABLE = re.compile(r'<(?:a [^>]*href=|button|select|textarea|summary|input (?!type="hidden"))')


@contextmanager
def fake_google(client_file: Path) -> Iterator[str]:
    """A Google on a port of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server.google_fake", "--write-client", str(client_file)],
        cwd=MAIN.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def browser_that_writes_down(folder: Path) -> Path:
    """A system browser that only notes which addresses it was asked for, in ``opened``."""
    script = folder / "browser"
    script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/opened\n', "utf-8")
    script.chmod(0o755)
    return script


def press(display: str, title: str, *keys: str) -> None:
    """Type into a window, as a person at the keyboard does; there is no window manager."""
    from Xlib import XK, X  # noqa: PLC0415  # pystray's, on Linux only
    from Xlib.display import Display  # noqa: PLC0415
    from Xlib.ext import xtest  # noqa: PLC0415

    desk: Any = Display(display)
    window = next(
        child for child in desk.screen().root.query_tree().children if child.get_wm_name() == title
    )
    window.set_input_focus(X.RevertToParent, X.CurrentTime)
    for key in keys:
        code = desk.keysym_to_keycode(XK.string_to_keysym(key))
        for kind in (X.KeyPress, X.KeyRelease):
            xtest.fake_input(desk, kind, code)
            desk.sync()
    desk.close()


def test_sign_in_from_the_window(
    panel: "Panel", start: Starter, screen: str, tmp_path: Path
) -> None:
    client_file, opened = tmp_path / "client.json", tmp_path / "opened"
    browser = browser_that_writes_down(tmp_path)
    with (
        fake_google(client_file) as google,
        start(
            UPSTREAM="",
            GOOGLE_OAUTH_CLIENT_FILE=str(client_file),
            CODE_ASSIST_ENDPOINT=google,
            BROWSER=f"{browser} %s",
        ) as program,
    ):
        wait(lambda: program.answers() and shown(program, 1))
        assert f"The window shows {program.url}/setup" in program.log()
        html = program.http.get(f"{program.url}/setup").text
        before = FOCUSABLE.findall(html[: html.index('id="google-sign-in"')])
        press(screen, "Gemini API Proxy", *["Tab"] * (len(before) + 1), "Return")
        wait(opened.exists)
        link = opened.read_text("utf-8").strip()
        assert link.startswith(google)
        assert not shown(program, 2)  # the window itself went nowhere
        with httpx.Client(trust_env=False, follow_redirects=True) as person:
            assert "Signed in" in person.get(link).text
        wait(lambda: shown(program, 2))  # it goes on by itself
        assert program.http.get(f"{program.url}/health").json()["authenticated"] is True
        wait(lambda: panel.says("demo@example.com"))
