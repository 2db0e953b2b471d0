"""The settings page: every row of the settings table, where its value comes from, and its form.

One form holds every group, and each group has its button. What was changed in the group is checked
as a whole before anything is saved, so that one wrong field changes nothing and is named where it
stands; what was typed in other groups stays typed. Each field says what it showed at first, so that
a page that has grown old changes only what was typed in it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

from quart import Response, g, redirect, render_template, request

from server.edge.access import Access
from server.edge.rights import Kind, matter_of_setting
from server.gemini.catalogue import catalogue
from server.host.gateway import Gateway
from server.host.ports import obstacle
from server.settings.load import Settings, SettingsError
from server.settings.options import ALL_OPTIONS, UPSTREAM_NAMES, Option
from server.upstreams.choice import Doors
from webui.forms import Forms

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Limits": ("RATE_LIMIT", "WAIT_MODE", "QUEUE_LIMIT"),
    "Reaching Gemini": (
        "UPSTREAM",
        "GEMINI_API_KEY",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_OAUTH_CLIENT_FILE",
        "TOKEN_FILE",
    ),
    "Models": (
        "MODEL_BEST",
        "MODEL_MAIN",
        "MODEL_FAST",
        "ALIASES",
        "UNKNOWN_MODEL",
        "EMBEDDINGS",
        "RESPONSE_STORE",
        "STORE_AT_GOOGLE",
    ),
    "Listening": ("HOST", "PORT"),
    "Who may call": (
        "API_KEY",
        "ADMIN_KEY",
        "TRUSTED_NETWORKS",
        "ALLOWED_HOSTS",
        "ALLOWED_ORIGINS",
    ),
    "Google's addresses": (
        "CODE_ASSIST_ENDPOINT",
        "GOOGLE_GEMINI_BASE_URL",
        "GOOGLE_VERTEX_BASE_URL",
    ),
    "Updates": ("UPDATE_CHECK", "UPDATE_FEED"),
    "Log and data": ("LOG_LEVEL", "SHOW_TOKEN", "DATA_DIR"),
}
TABLES = ("ALIASES",)
TIER_SETTINGS = ("MODEL_BEST", "MODEL_MAIN", "MODEL_FAST")
OWNERS = "Shown and changed on the server's own computer, or with ADMIN_KEY."
FIXED = {"DATA_DIR": "Chosen at start only: with --data-dir or the environment."}
HINTS = {
    "MODEL_BEST": "auto never takes a model dearer than those that a free key gets; here you may.",
    "ALIASES": "One per line: a name your tools use = the Gemini model that answers.",
    "GEMINI_API_KEY": "Leave empty to keep the saved key.",
    "API_KEY": "Leave empty to keep the saved keys.",
    "ADMIN_KEY": "Leave empty to keep the saved key.",
}
WIPE = "Agents that are in the middle of something may have to begin anew. This cannot be undone."
MOST_TYPED = 64
RESTARTED_S = 4
"""When the browser looks for the restarted server: stopping takes two seconds at most."""

_WORDS: Mapping[str, tuple[str, ...]] = {
    "WAIT_MODE": ("false", "true"),
    "SHOW_TOKEN": ("false", "true"),
    "UPDATE_CHECK": ("false", "true"),
    "STORE_AT_GOOGLE": ("false", "true"),
    "UPSTREAM": UPSTREAM_NAMES,
    "EMBEDDINGS": ("auto", "off"),
    "RESPONSE_STORE": ("memory", "disk", "off"),
    "LOG_LEVEL": ("debug", "info", "warning", "error"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting as its form shows it."""

    name: str
    meaning: str
    allowed: str
    hint: str
    value: str
    """As text; empty for a secret."""
    words: tuple[str, ...]
    """What can be chosen; empty for a free text."""
    source: str
    is_set: bool
    """A secret has a value."""
    secret: bool
    table: bool
    live: bool
    fixed: str
    """Why it cannot be changed here."""
    pinned: str
    """Who sets it again at the next start."""
    pending: bool
    """Saved, and waiting for a restart."""
    default: str
    """What an emptied field means; empty where that is nothing, or would show a secret."""
    error: str = ""
    typed: str = ""
    """The name of a secret that was typed and is not saved yet (``Typed``)."""
    removing: bool = False
    """A secret is to be removed, and that is not saved yet."""
    choices: tuple[tuple[str, str], ...] = ()
    """What may be typed, each with a note; any other text may be as well."""


def model_choices(doors: Doors) -> tuple[tuple[str, str], ...]:
    """The living models of the upstream in use with their prices, dearer than ``auto`` or not.

    A key that is not known to be free may be a paid one.
    """
    known, aliases, upstream = catalogue(), doors.aliases(), doors.current()
    door = aliases.door
    if door == "free" and doors.learned.plan(upstream.credential if upstream else "") != "free":
        door = "paid"
    found = [("auto", "chosen for the upstream in use")]
    for model in map(known.model, known.living(door, aliases.on)):
        price = None if door == "code-assist" else model.price(aliases.on)
        note = "" if price is None else f"${price.input:g} in, ${price.output:g} out per million"
        if model.id not in aliases.refused:
            found.append((model.id, f"{model.name}. {note}".rstrip(". ")))
    return tuple(found)


def text_of(value: object) -> str:
    """A setting's value as its form field holds it, and as it can be read back."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(str, value))
        case Mapping():
            return "\n".join(f"{name} = {target}" for name, target in value.items())
        case Path():
            return str(value)
    return str(value)


def read_table(name: str, text: str) -> dict[str, str]:
    """``name = value``, one per line. Raises ``SettingsError`` naming the line."""
    table = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        key, equals, target = (part.strip() for part in line.partition("="))
        if not (key and equals and target):
            raise SettingsError(name, line, "lines of the form name = Gemini id", "settings.toml")
        table[key] = target
    return table


def field_of(
    option: Option, gateway: Gateway, *, typed: str | None = None, error: str = ""
) -> Field:
    """One field, with what the user typed where that could not be saved."""
    settings, started = gateway.settings, gateway.started_with
    name = option.name
    value = gateway.pending.get(name, getattr(settings, option.field))
    return Field(
        name=name,
        meaning=option.meaning,
        allowed=option.allowed,
        hint=HINTS.get(name, ""),
        value=typed if typed is not None else "" if option.secret else text_of(value),
        words=_WORDS.get(name, ()),
        source=settings.source(name),
        is_set=bool(value),
        secret=option.secret,
        table=name in TABLES,
        live=option.live,
        fixed=FIXED.get(name, ""),
        pinned=str(started.source(name)) if started.pinned(name) else "",
        pending=name in gateway.pending,
        default="" if option.secret else text_of(settings.default(name)),
        error=error,
        removing=option.secret and typed == "",
        choices=model_choices(gateway.doors) if name in TIER_SETTINGS else (),
    )


def hidden_field(option: Option) -> Field:
    """The owner's setting, for who is not the owner: neither its value nor whether it has one."""
    return Field(
        name=option.name,
        meaning=option.meaning,
        allowed="",
        hint="",
        value="",
        words=(),
        source="",
        is_set=False,
        secret=False,
        table=False,
        live=False,
        fixed=OWNERS,
        pinned="",
        pending=False,
        default="",
    )


def not_allowed(form: Mapping[str, str], access: Access, kind: Kind) -> list[str]:
    """The settings a form names that its sender may not change."""
    names = {name.removeprefix("remove-") for name in form}
    return sorted(
        name
        for name in names.intersection(ALL_OPTIONS)
        if not access.may(kind, matter_of_setting(name))
    )


class Typed:
    """Secrets that were typed while another group was saved: a page never shows one again."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, str] = OrderedDict()

    def keep(self, secret: str) -> str:
        """The name under which a page may send it once more."""
        name = token_urlsafe(16)
        self._held[name] = secret
        while len(self._held) > MOST_TYPED:
            self._held.popitem(last=False)
        return name

    def get(self, name: str) -> str:
        return self._held.get(name, "")


def changes_in(
    form: Mapping[str, str], gateway: Gateway, held: Typed | None = None
) -> dict[str, str]:
    """The settings whose field is not what the page showed."""
    held = held or Typed()
    changed = {}
    for name, option in ALL_OPTIONS.items():
        if name in FIXED:
            continue
        if option.secret and form.get(f"remove-{name}"):
            changed[name] = ""
        elif name in form:
            typed = form[name].replace("\r\n", "\n").strip()
            if option.secret:
                shown, typed = "", typed or held.get(form.get(f"kept-{name}", ""))
            else:
                shown = form.get(f"was-{name}", field_of(option, gateway).value)
            if typed != shown.replace("\r\n", "\n").strip():
                changed[name] = typed
    return changed


def checked(
    changes: Mapping[str, str], settings: Settings
) -> tuple[dict[str, object], dict[str, str]]:
    """Values to save, and what is wrong with the others, by name."""
    values: dict[str, object] = {}
    errors: dict[str, str] = {}
    for name, typed in changes.items():
        try:
            value = read_table(name, typed) if name in TABLES and typed else typed
            settings.with_value(name, value)
        except SettingsError as error:
            errors[name] = error.sentence
        else:
            values[name] = value
    return values, errors


def anchor_of(name: str) -> str:
    """The id of the section that holds a setting; of the page's start for what it does not show."""
    numbers = (i for i, names in enumerate(GROUPS.values(), 1) if name in names)
    return f"group-{next(numbers, 1)}"


class SettingsPage:
    """``/settings``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._gateway = forms.gateway
        self._held = Typed()

    async def show(
        self,
        *,
        typed: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        saved: Sequence[str] | None = None,
    ) -> str:
        """``typed``: what is in the fields and not saved; ``saved``: what has just been saved."""
        typed, errors = typed or {}, errors or {}
        if saved is None:
            told = request.args.get("saved", "").split(",")
            saved = [name for name in told if name in ALL_OPTIONS]
        return await render_template(
            "settings.html",
            status=self._gateway.status(),
            groups={
                group: [
                    self._field(ALL_OPTIONS[name], typed.get(name), errors.get(name, ""))
                    if self._forms.may(matter_of_setting(name))
                    else hidden_field(ALL_OPTIONS[name])
                    for name in names
                ]
                for group, names in GROUPS.items()
            },
            token=self._forms.token,
            errors=errors,
            saved=saved,
            waiting=[name for name in typed if name not in errors],
            was=lambda name: text_of(self._now(name)),
            unchanged="saved" in request.args and not saved,
            unsaved=self._gateway.unsaved,
            wiped="wiped" in request.args,
            about_wiping=WIPE,
            pending=sorted(self._gateway.pending),
            can_restart=self._gateway.on_restart is not None,
            file=self._gateway.settings.data_dir / "settings.toml",
        )

    def _now(self, name: str) -> object:
        """The value that a field shows where nothing else was typed."""
        gateway = self._gateway
        return gateway.pending.get(name, getattr(gateway.settings, ALL_OPTIONS[name].field))

    def _field(self, option: Option, typed: str | None, error: str) -> Field:
        field = field_of(option, self._gateway, typed=typed, error=error)
        if option.secret and typed:
            return replace(field, value="", typed=self._held.keep(typed))
        return field

    async def change(self) -> Any:
        form = await self._forms.read("", "wipe", "restart")
        if form.get("action") == "wipe":
            return await self._wipe(sure=form.get("sure") == "yes")
        if form.get("action") == "restart":
            return await self._restart(sure=form.get("sure") == "yes")
        forbidden = not_allowed(form, self._gateway.access, g.caller.kind)
        if forbidden:
            return await self._forms.forbid(f"{', '.join(forbidden)}: {OWNERS}")
        changes = changes_in(form, self._gateway, self._held)
        mine = GROUPS.get(form.get("group", ""), tuple(changes))
        others = {name: typed for name, typed in changes.items() if name not in mine}
        wanted = {name: typed for name, typed in changes.items() if name in mine}
        values, errors = checked(wanted, self._gateway.settings)
        if errors:
            return await self.show(typed=changes, errors=errors), 400
        for name, value in values.items():
            await self._gateway.change(name, value)
        if form.get("from") == "dashboard":
            return redirect("/", 303)
        if others:
            return await self.show(typed=others, saved=tuple(values))
        if not values:
            return redirect("/settings?saved=", 303)
        return redirect(f"/settings?saved={','.join(values)}#{anchor_of(next(iter(values)))}", 303)

    async def _wipe(self, *, sure: bool) -> Any:
        """Ask first: what is wiped does not come back."""
        if not sure:
            return await self._forms.ask("wipe", "Wipe the conversations?", WIPE, "Yes, wipe them")
        await self._gateway.wipe()
        return redirect("/settings?wiped", 303)

    async def _restart(self, *, sure: bool) -> Any:
        """Ask first: a restart ends what is running. Then go where the pages will be."""
        gateway, wanted = self._gateway, self._gateway.next_settings
        stays = wanted.own_host == gateway.settings.own_host or not g.local
        host = _host_of(request.host) if stays else wanted.own_host
        address = f"http://{host}:{wanted.port}/settings"
        told: dict[str, Any] = {
            "running": gateway.status().running,
            "wanted": wanted,
            "moves": wanted.own_url != gateway.base_url,
            "address": address,
            "token": self._forms.token,
            "now": gateway.base_url,
        }
        if not sure:
            return await render_template("restart.html", **told)
        problem = await asyncio.to_thread(obstacle, wanted, gateway.settings.port)
        if problem is not None:
            name = "HOST" if problem.startswith("HOST") else "PORT"
            return await self.show(errors={name: problem}, typed=_typed(gateway, name)), 409
        gateway.restart()
        page = await render_template("restart.html", sure=True, **told)
        return Response(page, headers={"Refresh": f"{RESTARTED_S}; url={address}"})


def _host_of(authority: str) -> str:
    """Of a ``Host`` header, as it stands in an address."""
    host = urlsplit(f"//{authority}").hostname or "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _typed(gateway: Gateway, name: str) -> dict[str, str]:
    return {name: text_of(gateway.pending[name])} if name in gateway.pending else {}
