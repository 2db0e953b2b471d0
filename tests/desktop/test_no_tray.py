"""A display and its toolkit, but nothing to put an icon into: one line, and the server goes on."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.desktop.conftest import Starter
from tests.desktop.panel import until
from tests.support import HANGS_S

LACKING = [
    pytest.param({"DBUS_SESSION_BUS_ADDRESS": ""}, "there is no D-Bus session", id="no bus"),
    pytest.param(
        {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere/bus"}, "no D-Bus session", id="dead bus"
    ),
    pytest.param({"DISPLAY": ":99999"}, "the display cannot be opened", id="dead screen"),
    pytest.param({"DISPLAY": "", "WAYLAND_DISPLAY": "no"}, "the display cannot", id="dead wayland"),
]


@pytest.mark.parametrize(("environ", "line"), LACKING)
def test_the_dashboard_opens_in_the_browser_and_the_server_goes_on(
    start: Starter, tmp_path: Path, environ: dict[str, Any], line: str
) -> None:
    taken = tmp_path / "taken"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" >> "{taken}"\n')
    program.chmod(0o700)
    with start(BROWSER=f"{program} %s", **environ) as app:
        until(lambda: app.answers() and taken.is_file())
        assert taken.read_text() == f"{app.url}/\n"
        said = [text for text in app.log().splitlines() if line in text]
        assert len(said) == 1
        app.process.send_signal(signal.SIGTERM)
        assert app.process.wait(HANGS_S) == 0


@pytest.mark.parametrize("arguments", [("--headless",), ("--hidden",)])
def test_a_closed_terminal_ends_it_in_order(start: Starter, arguments: tuple[str, ...]) -> None:
    with start(*arguments) as app:
        until(app.answers)
        app.process.send_signal(signal.SIGHUP)
        assert app.process.wait(HANGS_S) == 0
        assert not (app.folder / "instance.json").exists()
        assert not (app.folder / "icons").exists()
