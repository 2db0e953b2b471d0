"""Status -> menu, icon, tooltip and notices, as data. Pure: no toolkit, no clock, no truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap
from typing import Literal, assert_never

from server.host.control import Status
from server.upstreams.quota import FamilyQuota

Verb = Literal[
    "open",
    "copy",
    "start",
    "stop",
    "restart",
    "accept port",
    "change",
    "check account",
    "autostart",
    "open folder",
    "browse",
    "quit",
]
Shape = Literal["running", "busy", "attention", "stopped", "problem"]

INTERVALS = (0.0, 1.0, 2.0, 5.0, 10.0)
"""Seconds; the choices of *Minimum interval*."""

APP_NAME = "Gemini API Proxy"
TOOLTIP_LIMIT = 127
"""UTF-16 units that Windows takes; pystray raises on more."""


@dataclass(frozen=True, slots=True)
class Action:
    """What choosing an item means."""

    verb: Verb
    name: str = ""
    """A page for ``open``, a text for ``copy``, a setting for ``change``."""
    value: str | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the menu; without ``action`` and ``children`` it only tells something."""

    text: str
    action: Action | None = None
    checked: bool | None = None
    """None: not a check item."""
    radio: bool = False
    default: bool = False
    """Chosen by a click on the icon, where the desktop has such a click."""
    children: tuple["Item | None", ...] = ()
    enabled: bool = True

    @property
    def identity(self) -> str:
        """What stays while text, mark and value change; equal ones are told apart by order."""
        if self.children:
            return "menu " + self.text.partition(" (")[0]
        if self.action is None:
            return "text"
        name = self.text.partition(":")[0] if self.action.verb == "copy" else self.action.name
        return f"{self.action.verb} {name} {self.action.value if self.radio else ''}"


LINE_LIMIT = 80
"""Characters: a longer sentence would make a menu as wide as the screen."""

SEPARATOR = None
FOLDER = Item("Open data folder", Action("open folder"))


@dataclass(frozen=True, slots=True)
class Notice:
    """A desktop notification."""

    title: str
    message: str


def menu(
    status: Status, *, autostart: bool | None, vanished: bool = False
) -> tuple[Item | None, ...]:
    """The whole menu; None is a separator. ``autostart`` None: the system has no such thing;
    ``vanished``: it is on, and its program is gone.

    It says nothing that a request changes: an open menu stays as it is while an agent works. What
    is going on stands in the tooltip.
    """
    running = status.phase == "running"
    return (
        *(_told(text) for text in _lines(status)),
        *_link(status),
        *_set_up(status),
        *_port_offer(status),
        *_mistake(status),
        *_update(status),
        SEPARATOR,
        Item("Open dashboard", Action("open", "/"), default=True),
        _copies(status),
        Item("Connect an app…", Action("open", "/connect"), enabled=running),
        Item("Settings…", Action("open", "/settings"), enabled=running),
        SEPARATOR,
        _start_or_stop(status),
        Item("Restart server", Action("restart"), enabled=running),
        *_limits(status),
        SEPARATOR,
        _upstream(status),
        _account(status),
        *_autostart(autostart, vanished=vanished),
        _help(status),
        SEPARATOR,
        Item("Quit", Action("quit")),
    )


def remedies(status: Status) -> tuple[Item, ...]:
    """What can be done about a stopped server; nothing while it starts, stops or runs."""
    if status.phase != "stopped":
        return ()
    text = "Start server" if status.trouble is None else "Try again"
    return (*_port_offer(status), Item(text, Action("start")), FOLDER)


def headline(status: Status) -> str:
    """The first line of the menu, and the tooltip."""
    return f"{APP_NAME} — {_state(status)}"


def _state(status: Status) -> str:
    match status.phase:
        case "starting":
            return "Starting…"
        case "stopping":
            return "Stopping…"
        case "stopped":
            if status.trouble is None:
                return "Stopped"
            taken = status.trouble.free_port is not None
            return f"Port {status.port} in use" if taken else "Not started"
        case "running":
            if status.problem is not None:
                return "Needs attention"
            ready = f"Running on {status.host}:{status.port}"
            return ready if status.authenticated else "Needs sign-in"
        case _:
            assert_never(status.phase)


def tooltip(status: Status) -> str:
    """The headline, and what is going on, as long as every system takes it."""
    return clamp(" · ".join([headline(status), *_work(status)]), TOOLTIP_LIMIT)


def clamp(text: str, units: int) -> str:
    """``text`` cut to so many UTF-16 units, which is how Windows counts."""
    if len(text.encode("utf-16-le")) <= 2 * units:
        return text
    kept = text.encode("utf-16-le")[: 2 * (units - 1)].decode("utf-16-le", "ignore")
    return kept + "…"


def shape(status: Status) -> Shape:
    """The icon: states differ by outline, not by colour alone."""
    if status.trouble is not None:
        return "problem"
    if status.phase != "running":
        return "stopped"
    if status.problem is not None or not status.authenticated:
        return "attention"
    short = status.limited or any(family.percent == 0 for family in status.quota)
    return "busy" if status.queued or short else "running"


def notice(before: Status, after: Status) -> Notice | None:
    """What is worth interrupting somebody for: a change of state, never its repetition."""
    if after.trouble is not None and after.trouble != before.trouble:
        offer = _port_offer(after)
        hint = f" Menu: {offer[0].text}." if offer else ""
        return Notice("The server is not running", after.trouble.message + hint)
    if after.problem is not None and after.problem != before.problem:
        return Notice(after.problem.message, after.problem.remedy)
    ran = before.phase == after.phase == "running"
    if ran and (news := [text for text in after.refused if text not in before.refused]):
        return Notice("A model is left out", f"{news[0]} Others answer in its place.")
    if news := [text for text in after.ending if text not in before.ending]:
        return Notice("A model ends soon", news[0])
    if after.signed_in and not before.signed_in and before.phase == after.phase == "running":
        return Notice("Signed in", f"{after.email or 'Your account'} is used from now on.")
    return None


def interval_label(seconds: float) -> str:
    return f"{seconds:g} s" if seconds else "Off"


def quota_line(family: FamilyQuota) -> str:
    """``Pro: 62 % left · resets Tue 14:20``, in the time of this computer."""
    line = f"{family.name}: {family.percent} % left"
    if family.reset_at is None:
        return line
    return f"{line} · resets {_moment(family.reset_at)}"


def _moment(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s).astimezone():%a %H:%M}"


def _told(text: str) -> Item:
    return Item(text, enabled=False)


def _lines(status: Status) -> list[str]:
    lines = [headline(status)]
    if status.trouble is not None:
        lines += wrap(status.trouble.message, LINE_LIMIT)
    if status.phase != "running":
        return lines
    if status.problem is not None:
        lines += [status.problem.message, status.problem.remedy]
    known = (status.email, status.tier, _title(status))
    if status.upstream is not None:
        lines.append(" · ".join(word for word in known if word))
    lines.extend(quota_line(family) for family in status.quota)
    return [part for line in lines for part in wrap(line, LINE_LIMIT)]


def _work(status: Status) -> list[str]:
    parts = []
    if status.running > status.queued:
        parts.append(f"{status.running - status.queued} running")
    if status.queued:
        parts.append(f"{status.queued} queued")
    if status.limited:
        until = status.limited_until
        parts.append(f"limited until {_moment(until)}" if until else "rate limit reached")
    return [" · ".join(parts)] if parts else []


def _title(status: Status) -> str:
    return dict(status.upstreams).get(status.upstream or "", status.upstream or "")


def _port_offer(status: Status) -> tuple[Item, ...]:
    trouble = status.trouble
    if trouble is None or trouble.free_port is None:
        return ()
    port = trouble.free_port
    return (Item(f"Use port {port} instead", Action("accept port", value=port)),)


def _mistake(status: Status) -> tuple[Item, ...]:
    """Where the file is that the sentence above speaks of."""
    trouble = status.trouble
    return (FOLDER,) if trouble is not None and trouble.free_port is None else ()


def _update(status: Status) -> tuple[Item, ...]:
    if status.update is None or status.phase != "running":
        return ()
    return (Item(f"Version {status.update} is out…", Action("open", "/about")),)


def _copies(status: Status) -> Item:
    url = status.base_url
    places = (("OpenAI", f"{url}/v1"), ("Anthropic", url), ("Gemini", url))
    return Item(
        "Copy base URL",
        children=tuple(Item(f"{name}: {text}", Action("copy", text)) for name, text in places),
    )


def _start_or_stop(status: Status) -> Item:
    if status.phase in ("running", "stopping"):
        return Item("Stop server", Action("stop"), enabled=status.phase == "running")
    return Item("Start server", Action("start"), enabled=status.phase == "stopped")


def _limits(status: Status) -> tuple[Item, ...]:
    running = status.phase == "running"
    chosen = status.rate_limit_s
    intervals = sorted({*INTERVALS, chosen})
    return (
        Item(
            "Queue when rate limited" + _until(status, "WAIT_MODE"),
            Action("change", "WAIT_MODE", not status.wait_mode),
            checked=status.wait_mode,
            enabled=running,
        ),
        Item(
            "Minimum interval" + _until(status, "RATE_LIMIT"),
            enabled=running,
            children=(
                *_radio("RATE_LIMIT", chosen, [(s, interval_label(s)) for s in intervals]),
                Item("Other…", Action("open", "/settings#RATE_LIMIT")),
            ),
        ),
    )


def _radio(
    setting: str, chosen: object, choices: Sequence[tuple[str | float, str]]
) -> tuple[Item, ...]:
    """One item for each (value, text)."""
    return tuple(
        Item(text, Action("change", setting, value), checked=value == chosen, radio=True)
        for value, text in choices
    )


def _until(status: Status, name: str) -> str:
    return " (returns at the next start)" if name in status.pinned else ""


def _link(status: Status) -> tuple[Item, ...]:
    """Google's own page about what is wrong."""
    problem = status.problem
    if status.phase != "running" or problem is None or problem.link is None:
        return ()
    return (Item(f"{problem.link_text or 'Read more'}…", Action("browse", problem.link)),)


def _set_up(status: Status) -> tuple[Item, ...]:
    """Where to mend it, without a search through the submenus."""
    if status.phase != "running" or (status.authenticated and status.problem is None):
        return ()
    text = "Open set-up…" if status.problem else "Choose how to reach Gemini…"
    return (Item(text, Action("open", "/setup")),)


def _help(status: Status) -> Item:
    running = status.phase == "running"
    return Item(
        "Help",
        children=(
            Item("Show log", Action("open", "/log"), enabled=running),
            Item("Copy diagnostics", Action("copy", "diagnostics")),
            FOLDER,
            Item("About and updates", Action("open", "/about"), enabled=running),
        ),
    )


def _upstream(status: Status) -> Item:
    choices = (("auto", "Automatic"), *status.upstreams)
    return Item(
        "Upstream" + _until(status, "UPSTREAM"),
        enabled=status.phase == "running",
        children=_radio("UPSTREAM", status.chosen, choices),
    )


def _account(status: Status) -> Item:
    sign = (
        Item("Sign out…", Action("open", "/setup?ask=sign-out#sign-out"))
        if status.signed_in
        else Item("Sign in or add a key…", Action("open", "/setup"))
    )
    again = "Checking…" if status.checking else "Check again"
    return Item(
        "Account",
        enabled=status.phase == "running",
        children=(sign, Item(again, Action("check account"), enabled=not status.checking)),
    )


def _autostart(state: bool | None, *, vanished: bool) -> tuple[Item, ...]:
    if state is None:
        return ()
    if state and vanished:
        text = "Start at login (broken: its program is gone)"
        return (Item(text, Action("autostart", value=True), checked=False),)
    return (Item("Start at login", Action("autostart", value=not state), checked=state),)
