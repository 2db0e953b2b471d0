"""The help page: what version this is, whose work is in it, where to go on."""

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

from quart import render_template

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
    """``GET /help``."""

    def __init__(self, forms: Forms) -> None:
        self._gateway = forms.gateway

    async def show(self) -> str:
        return await render_template(
            "help.html",
            status=self._gateway.status(),
            data_dir=self._gateway.settings.data_dir,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            packaged=bool(getattr(sys, "frozen", False)),
            libraries=[library(name) for name in LIBRARIES],
        )
