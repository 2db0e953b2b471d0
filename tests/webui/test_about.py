"""The about page: the version, whether a newer one is out, and whose work is in the program."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import httpx
import pytest

from server import __version__
from tests.browser.chromium import Browser
from tests.release_feed import LINK, Feed
from tests.rig import Rig, running
from webui import about
from webui.about import DIRECT, distributions, library, licence_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def feed() -> Iterator[Feed]:
    feed = Feed()
    yield feed
    feed.close()


async def check(rig: Rig) -> httpx.Response:
    """Press the button of the page."""
    page = (await rig.http.get("/about")).text
    (token,) = re.findall(r'name="token" value="([^"]+)"', page)
    return await rig.http.post("/about", data={"token": token})


def test_the_direct_requirements_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = project["project"]["dependencies"] + project["dependency-groups"]["desktop"]
    named = {re.split(r"[\[<>=]", line)[0] for line in lines}
    assert named == set(DIRECT)


def test_every_requirement_of_this_system_is_listed_with_its_licence() -> None:
    names = distributions()
    assert {"quart", "werkzeug", "h11", "certifi", "pystray", "proxy-tools"} <= set(names)
    assert {"pytest", "openai", "pyinstaller", "mypy"}.isdisjoint(names)
    for name in names:
        shown = library(name)
        assert shown.version == distribution(name).version
        assert shown.licence not in ("", "see its text"), name
        assert shown.has_text or name == "proxy-tools", name
    assert "LESSER GENERAL PUBLIC LICENSE" in (licence_text("pystray") or "")


def test_only_what_is_listed_can_be_read() -> None:
    for name in ("pytest", "../../etc/passwd", "", "nothing"):
        assert licence_text(name) is None


async def test_the_page_tells_version_and_licences(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        page = (await rig.http.get("/about")).text
        assert __version__ in page
        assert "pywebview" in page
        text = await rig.http.get("/about", params={"licence": "pystray"})
        assert "LESSER" in text.text
        assert (await rig.http.get("/about", params={"licence": "etc"})).status_code == 404
        assert "UPDATE_FEED" in page  # nobody has said where releases are announced
        assert "Check now" not in page


async def test_the_button_asks_and_the_page_tells(tmp_path: Path, feed: Feed) -> None:
    async with running(tmp_path, update_feed=feed.url) as rig:
        before = (await rig.http.get("/about")).text
        assert "only when you press the button" in before
        assert feed.asked == []
        assert (await check(rig)).status_code == 303
        page = (await rig.http.get("/about")).text
        assert "Version 9.9.9 is out." in page
        assert f'href="{LINK}" target="_blank"' in page  # the window has no way back
        assert len(feed.asked) == 1
        feed.status = 500
        await check(rig)
        page = (await rig.http.get("/about")).text
        assert "The last check did not work:" in page
        assert "answered 500" in page


async def test_a_form_of_somebody_else_asks_nothing(tmp_path: Path, feed: Feed) -> None:
    async with running(tmp_path, update_feed=feed.url) as rig:
        assert (await rig.http.post("/about", data={"token": "no"})).status_code == 403
        assert feed.asked == []


async def test_a_newest_version_is_said_to_be_one(tmp_path: Path, feed: Feed) -> None:
    feed.answer = {"tag_name": f"v{__version__}"}
    async with running(tmp_path, update_feed=feed.url, update_check=True) as rig:
        await check(rig)
        page = (await rig.http.get("/about")).text
        assert "This is the newest version." in page
        assert "Asked once a day" in page


def test_a_package_lists_what_it_holds_besides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libssl3.txt").write_text("Apache")
    monkeypatch.setattr(about, "BESIDES", tmp_path)
    (tmp_path / "proxy-tools.txt").write_text("BSD")
    assert about.besides() == ("libssl3", "proxy-tools")
    assert licence_text("libssl3") == "Apache"
    assert library("proxy-tools").has_text


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_it_on_a_phone_too(
    tmp_path: Path, browser: Browser, feed: Feed, scheme: str
) -> None:
    async with running(tmp_path, update_feed=feed.url) as rig:
        await browser("open", width=360, height=740, scheme=scheme)
        for path in ("/about", "/about?licence=pystray"):
            await browser("goto", url=rig.url + path)
            if path == "/about":
                await browser("click", selector="text=Check now")
                await browser("see", selector="[role=status]", text="9.9.9")
            width = await browser("evaluate", script="document.documentElement.scrollWidth")
            assert width <= 360, path
            found = await browser("axe")
            assert [p for p in found if p["impact"] in ("serious", "critical")] == [], path
