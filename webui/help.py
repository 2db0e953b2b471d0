"""The help page: the last log lines, what version this is, whose work is in it, where to go on."""

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from quart import render_template

from server.doctor import Check, Finding, examine, render
from server.logs import recent_lines, redact
from webui.forms import Forms

LIBRARIES = (
    "quart",
    "hypercorn",
    "httpx",
    "google-auth",
    "google-auth-oauthlib",
    "platformdirs",
    "prometheus-client",
    "tomlkit",
)


@dataclass(frozen=True, slots=True)
class Library:
    """One package this program stands on."""

    name: str
    version: str
    licence: str


def library(name: str) -> Library:
    """What a package says of itself; a packaged build may have left its words out."""
    try:
        metadata = distribution(name).metadata
    except PackageNotFoundError:
        return Library(name, "unknown", "see its project page")
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    said = metadata.get_all("License-Expression") or metadata.get_all("License") or [""]
    named = said[0]
    licence = named if named and len(named) < 60 else ", ".join(classifiers)
    return Library(name, metadata["Version"], licence or "see its project page")


class HelpPage:
    """``/help``: opened, and with what the doctor found."""

    def __init__(self, forms: Forms, checks: Sequence[Check]) -> None:
        self._forms = forms
        self._gateway = forms.gateway
        self._checks = checks

    async def examine(self) -> Any:
        """Look at everything now; what is found is shown, and kept nowhere."""
        if await self._forms.read() is None:
            return await self._forms.refuse()
        settings = self._gateway.settings
        return await self.show(await examine(settings, more=self._checks, gateway=self._gateway))

    async def show(self, found: Sequence[Finding] = ()) -> str:
        return await render_template(
            "help.html",
            token=self._forms.token,
            found=[replace(f, told=redact(f.told), remedy=redact(f.remedy)) for f in found],
            diagnostics=render(found),
            status=self._gateway.status(),
            lines=recent_lines(),
            level=self._gateway.settings.log_level,
            data_dir=self._gateway.settings.data_dir,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            packaged=bool(getattr(sys, "frozen", False)),
            libraries=[library(name) for name in LIBRARIES],
        )
