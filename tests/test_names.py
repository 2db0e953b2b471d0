"""No page, program to copy, schema or document names a model that is gone, or that never was.

What lives says the data file, on the day it was checked: no calendar turns this red.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.connect.formats import rewritten
from server.connect.places import Places
from server.connect.server_address import target
from server.connect.tool import Tool
from server.connect.tools import TOOLS
from server.gemini.catalogue import catalogue
from server.gemini.model_names import STABLE_NAMES
from server.settings.load import Settings
from server.settings.options import ALL_OPTIONS
from tests.rig import running

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"\b(?:gemini|gemma)-[a-z0-9][a-z0-9.-]*[a-z0-9]", re.IGNORECASE)
OURS = re.compile(
    r"gemini-(api|cli|proxy|gp)\b.*"  # an upstream, a tool, this program
    r"|gemini-(error|model|model-version)"  # a schema, and headers x-gemini-…
)
TEXTS = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "performance.md"),
    *sorted((ROOT / "webui").rglob("*.py")),
    *sorted((ROOT / "webui" / "templates").iterdir()),
    *sorted((ROOT / "webui" / "static").glob("*.js")),
    *sorted((ROOT / "server" / "connect").rglob("*.py")),
    *sorted((ROOT / "tray").rglob("*.py")),
    *(ROOT / name for name in ("main.py", "server/edge/schemas.py", "server/edge/openapi.py")),
    *(ROOT / name for name in ("docker-compose.yml", "Dockerfile", "setup.sh")),
]


def named(text: str) -> Iterator[str]:
    """The model ids of a text."""
    yield from (found for found in NAME.findall(text) if not OURS.fullmatch(found))


def lives(name: str) -> bool:
    """A new key may ask the Gemini API for it, by the data file, on the file's own day."""
    known = catalogue().model(name)
    return name in STABLE_NAMES or (known.listed and known.living("paid", catalogue().checked))


def dead(text: str) -> list[str]:
    return sorted({name for name in named(text) if not lives(name)})


def test_the_eye_is_sharp() -> None:
    """What is closed, dead, unknown or misspelt is found; what lives, and what is ours, is not."""
    assert dead(
        "gemini-2.5-pro, gemini-1.5-pro-002, gemini-3.8-flsh; gemini-9-radon. gemma-2-9b-it"
    ) == [
        *("gemini-1.5-pro-002", "gemini-2.5-pro", "gemini-3.8-flsh", "gemini-9-radon"),
        "gemma-2-9b-it",
    ]
    assert dead("gemini-best gemini-3.8-flash gemini-api-proxy x-gemini-model") == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_people_read_names_only_living_models(path: Path) -> None:
    assert dead(path.read_text("utf-8")) == []


def test_what_the_settings_say_names_only_living_models() -> None:
    said = " ".join(str(option) for option in ALL_OPTIONS.values())
    assert dead(said) == []


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.id)
def test_connect_writes_the_names_that_stay(tool: Tool, tmp_path: Path) -> None:
    """In the files, in what is to be copied, and in the command that tries the tool."""
    wanted = target(Settings(data_dir=tmp_path))
    written = [snippet.text for snippet in tool.snippets(wanted)]
    written += tool.trial(wanted) if tool.trial else ()
    for file in tool.files(Places(tmp_path, {}, "linux"), wanted) if tool.files else ():
        written += [rewritten(file.form, "", file.edits)]
    assert set(named("\n".join(written))) <= set(STABLE_NAMES)


async def test_what_the_server_tells_names_only_living_models(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for path in ("/openapi.json", "/connect", "/help", "/about", "/settings", "/setup"):
            answer = await rig.http.get(path)
            assert answer.status_code == 200, path
            assert dead(answer.text) == [], path
