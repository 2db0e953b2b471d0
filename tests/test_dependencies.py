"""Libraries that are aging are imported in few places, and in one minor version (0028 to 0030)."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = [
    ROOT / "main.py",
    *(p for f in ("server", "tray", "webui") for p in (ROOT / f).rglob("*.py")),
]


def importers(library: str) -> set[str]:
    """The program's own files that import ``library``."""
    wanted = re.compile(rf"(?m)^\s*(?:import|from) {library}(?:[ .,]|$)")
    return {p.relative_to(ROOT).as_posix() for p in PROGRAM if wanted.search(p.read_text("utf-8"))}


def test_hypercorn_is_known_to_two_modules() -> None:
    assert importers("hypercorn") == {"server/host/runtime.py", "server/edge/connections.py"}


def test_pystray_is_known_to_the_tray_only() -> None:
    assert all(name.startswith("tray/") for name in importers("pystray"))
    assert "pystray" in (ROOT / "tray/icon.py").read_text("utf-8")


def test_quart_is_known_to_the_pages_only() -> None:
    assert importers("quart")
    assert all(name.startswith("webui/") for name in importers("quart"))


def test_nothing_else_learns_of_httpx() -> None:
    """Whoever adds one writes it down here; the move to httpx2 is this list."""
    its_rooms = ("server/upstreams/", "server/network/")
    assert {name for name in importers("httpx") if not name.startswith(its_rooms)} == {
        "server/connect/probe.py",
        "server/demo/gemini_api.py",
        "server/core/downloads.py",
        "server/host/gateway.py",
        "server/auth/grants.py",
        "server/host/network_probe.py",
        "server/host/updates.py",
    }


@pytest.mark.parametrize("library", ["httpx", "hypercorn", "quart", "pystray", "pywebview"])
def test_each_is_held_to_versions_that_were_tried(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["desktop"]]
    (line,) = (one for one in asked if re.match(rf"{library}\b", one))
    assert "<" in line
