"""A screen and a session bus for a program, where the machine has none."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class NoScreenError(Exception):
    """This machine has no display and cannot make one."""


@contextmanager
def screen(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """An environment with a display and a session bus: the user's own, else private ones.

    Raises ``NoScreenError``.
    """
    if environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        yield dict(environ)
        return
    lacking = [name for name in ("Xvfb", "dbus-daemon") if shutil.which(name) is None]
    if lacking:
        raise NoScreenError(f"No display, and {' and '.join(lacking)} not found to make one.")
    reader, writer = os.pipe()
    with (
        subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
            pass_fds=(writer,),
            stderr=subprocess.DEVNULL,
        ) as display,
        subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as bus,
    ):
        os.close(writer)
        try:
            with os.fdopen(reader) as told:
                number = told.readline().strip()
            address = bus.stdout.readline().strip() if bus.stdout else ""
            if not (number and address):
                raise NoScreenError("Xvfb or dbus-daemon did not start.")
            # A container forbids the name spaces of WebKit's sandbox, and GTK asks for a bus of
            # screen readers that is not there.
            yield {
                **environ,
                "DISPLAY": f":{number}",
                "DBUS_SESSION_BUS_ADDRESS": address,
                "NO_AT_BRIDGE": "1",
                "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
            }
        finally:
            display.terminate()
            bus.terminate()
