"""What the doctor looks at on a desktop: tray toolkit, web view, start at login."""

import sys
from collections.abc import Sequence

from server.host.doctor import Check, Finding
from tray.autostart import Autostart


def checks(autostart: Autostart) -> tuple[Check, ...]:
    """For ``server.host.doctor.examine``, which knows no desktop."""
    return (
        Check("tray", tray),
        Check("window", window),
        Check("start at login", lambda: start_at_login(autostart)),
    )


def tray() -> Sequence[Finding]:
    """Whether there can be an icon."""
    from tray import icon  # noqa: PLC0415  # Pillow and a toolkit, which a server may not have

    try:
        toolkit = icon.load()
    except icon.NoToolkitError as error:
        if error.has_display:
            return [Finding("warn", "tray", "no toolkit for an icon", str(error))]
        return [Finding("ok", "tray", "no display here: the server runs alone")]
    return [Finding("ok", "tray", str(toolkit.Icon.__module__).removeprefix("pystray._"))]


def window() -> Sequence[Finding]:
    """Whether the dashboard can have a window of its own; ``--self-test`` tells if it works."""
    if sys.platform == "win32":
        from tray.window import has_webview2  # noqa: PLC0415  # there on Windows only

        if not has_webview2():
            told = "WebView2 is missing; the dashboard opens in the browser instead"
            return [Finding("warn", "window", told, "Install Microsoft's WebView2 runtime.")]
    if sys.platform != "linux":
        return [Finding("ok", "window", "the system's own web view")]
    try:
        import gi  # noqa: PLC0415  # the system's, or none
    except ImportError:
        return [_no_web_view("PyGObject is missing", "python3-gi gir1.2-webkit2-4.1")]
    for version in ("4.1", "4.0"):
        try:
            gi.require_version("WebKit2", version)
        except ValueError:
            continue
        return [Finding("ok", "window", f"WebKitGTK {version}")]
    return [_no_web_view("WebKitGTK is missing", "gir1.2-webkit2-4.1")]


def _no_web_view(told: str, packages: str) -> Finding:
    remedy = f"Install {packages} (their names on Debian and Ubuntu), then run make setup."
    return Finding("warn", "window", f"{told}; the dashboard opens in the browser instead", remedy)


def start_at_login(autostart: Autostart) -> Sequence[Finding]:
    """What the system says now."""
    words = {True: "on", False: "off", None: "not offered: the program is on a disk image"}
    state = autostart.enabled()
    if state and autostart.broken():
        remedy = "Choose Start at login in the tray's menu: that writes it anew."
        return [Finding("warn", "start at login", "on, but its program is gone", remedy)]
    return [Finding("ok", "start at login", words[state])]
