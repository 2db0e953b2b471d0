"""The about page: which version this is, whether a newer one is out, and whose work is in it."""

import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from quart import abort, redirect, render_template, request

from webui.forms import Forms

DIRECT = (
    "google-auth",
    "google-auth-oauthlib",
    "httptools",
    "httpx",
    "hypercorn",
    "orjson",
    "pillow",
    "platformdirs",
    "prometheus-client",
    "pystray",
    "pywebview",
    "quart",
    "ruamel-yaml",
    "tomlkit",
)
"""What pyproject.toml asks for; a package has no pyproject.toml to read."""

BESIDES = Path(__file__).parents[1] / "licences"
"""In a package: a text for everything that is no Python distribution (Python itself, OpenSSL)."""


@dataclass(frozen=True, slots=True)
class Library:
    """One package this program stands on."""

    name: str
    version: str
    licence: str
    has_text: bool


def distributions() -> tuple[str, ...]:
    """The names of everything installed that the program needs, directly or not, sorted."""
    found: dict[str, None] = {}
    waiting = list(DIRECT)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found or (package := _installed(name)) is None:
            continue  # a requirement of another system
        found[name] = None
        for line in package.requires or []:
            required, _, marker = line.partition(";")
            match = re.match(r"[\w.-]+", required)
            if match and "extra" not in marker:
                waiting.append(match[0])
    return tuple(sorted(found))


def library(name: str) -> Library:
    """What a package says of itself."""
    package = distribution(name)
    metadata = package.metadata
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    said = metadata.get_all("License-Expression") or metadata.get_all("License") or [""]
    named = said[0].strip()
    licence = named if named and len(named) < 60 else ", ".join(classifiers)
    has_text = name in besides() or any(True for _ in _texts(package))
    return Library(name, metadata["Version"], licence or "see its text", has_text)


def licence_text(name: str) -> str | None:
    """Everything a component says about its licence; None when there is no such component."""
    if name in besides():
        return (BESIDES / f"{name}.txt").read_text("utf-8", "replace")
    package = _installed(name) if name in distributions() else None
    return None if package is None else "\n\n".join(_texts(package)) or None


def besides() -> tuple[str, ...]:
    """What a package holds besides Python distributions."""
    return tuple(sorted(path.stem for path in BESIDES.glob("*.txt")))


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _texts(package: Distribution) -> Iterator[str]:
    """The licence files of a package, as its record lists them."""
    for file in package.files or []:
        inside = any(part.endswith(".dist-info") for part in file.parts[:1])
        if inside and re.match(r"(?i)licen[cs]e|copying|notice", file.name):
            path = Path(str(file.locate()))
            if path.is_file():
                yield path.read_text("utf-8", "replace")


def _moment(seconds: float) -> str:
    """In this computer's own time zone; empty for never."""
    then = datetime.fromtimestamp(seconds, UTC).astimezone()
    return f"{then:%d %B %Y, %H:%M}" if seconds else ""


class AboutPage:
    """``/about``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._gateway = forms.gateway

    async def show(self) -> Any:
        asked = request.args.get("licence")
        if asked is not None:
            text = licence_text(asked)
            if text is None:
                abort(404)
            return await render_template("licence.html", name=asked, text=text)
        updates = self._gateway.updates
        return await render_template(
            "about.html",
            status=self._gateway.status(),
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            packaged=bool(getattr(sys, "frozen", False)),
            libraries=[library(name) for name in distributions()],
            besides=[name for name in besides() if name not in distributions()],
            updates=updates.state,
            feed=updates.feed,
            daily=self._gateway.settings.update_check,
            asked=_moment(updates.state.checked_at),
            token=self._forms.token,
        )

    async def check(self) -> Any:
        """The button: ask the release feed now."""
        await self._forms.read("")
        await self._gateway.updates.check()
        return redirect("/about#updates", 303)
