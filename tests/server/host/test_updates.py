"""The update check: off by default, once a day at most, never louder than a line."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from server.host.runtime import Server
from server.host.updates import EVERY_S, Updates, UpdateState, is_newer, newest
from server.settings.load import Settings
from tests.faults import until
from tests.release_feed import LINK, Feed
from tests.support import HANGS_S, free_port
from webui.pages import create_pages


@pytest.fixture
def feed() -> Iterator[Feed]:
    feed = Feed()
    yield feed
    feed.close()


class Life:
    """Updates with a clock of our own."""

    def __init__(self, folder: Path, feed: Feed, *, on: bool = True, time: float = 1e9) -> None:
        self.time = time
        self.told = 0
        self.settings = Settings(data_dir=folder, update_check=on, update_feed=feed.url)
        self.updates = Updates(self.settings, self._tell, now=lambda: self.time, version="1.2.0")

    def _tell(self) -> None:
        self.told += 1


async def test_a_newer_release_is_told_with_its_address(tmp_path: Path, feed: Feed) -> None:
    life = Life(tmp_path, feed)
    await life.updates.check()
    assert life.updates.state == UpdateState(1e9, "9.9.9", LINK)
    assert life.told == 1
    assert feed.asked == ["gemini-api-proxy/1.2.0"]


async def test_the_same_or_an_older_release_is_no_news(tmp_path: Path, feed: Feed) -> None:
    life = Life(tmp_path, feed)
    for tag in ("v1.2.0", "1.2", "v1.1.9", "v1.2.0rc1"):
        feed.answer = {"tag_name": tag, "html_url": LINK}
        await life.updates.check()
        assert life.updates.state == UpdateState(1e9), tag


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (403, {}, "127.0.0.1 answered 403"),
        (200, b"<html>", "no JSON"),
        (200, b"\xff\xfe", "no JSON"),
        (200, {"message": "Not Found"}, "lists no releases"),
        (200, ["x"], "lists no releases"),
        (200, b"[" + b" " * 1_100_000 + b"]", "larger than 1 MiB"),
    ],
)
async def test_a_broken_feed_is_one_sentence_and_forgets_nothing(
    tmp_path: Path, feed: Feed, status: int, answer: object, words: str
) -> None:
    life = Life(tmp_path, feed)
    await life.updates.check()
    feed.status, feed.answer = status, answer
    await life.updates.check()
    assert words in (life.updates.state.error or "")
    assert life.updates.state.version == "9.9.9"


async def test_no_network_is_a_sentence(tmp_path: Path, feed: Feed) -> None:
    life = Life(tmp_path, feed)
    gone = replace(life.settings, update_feed="http://127.0.0.1:9/")
    life.updates.use(gone)
    await life.updates.check()
    assert life.updates.state.error


async def test_it_is_asked_once_a_day_across_restarts(tmp_path: Path, feed: Feed) -> None:
    expected = 0
    for hours, due in ((0, 1), (1, 0), (23, 0), (25, 1), (26, 0), (-100, 1)):
        life = Life(tmp_path, feed, time=1e9 + hours * 3600)
        task = asyncio.create_task(life.updates.daily())
        await asyncio.sleep(0.02)
        await until(partial(lambda life, due: life.told >= due, life, due))
        task.cancel()
        expected += due
        assert len(feed.asked) == expected, hours
        assert life.updates.state.version == "9.9.9"
    assert EVERY_S == 24 * 3600


async def test_off_asks_nothing_until_it_is_switched_on(tmp_path: Path, feed: Feed) -> None:
    life = Life(tmp_path, feed, on=False)
    task = asyncio.create_task(life.updates.daily())
    for _ in range(20):
        await asyncio.sleep(0)
    assert feed.asked == []
    life.updates.use(replace(life.settings, update_check=True))
    await until(lambda: life.updates.state.version == "9.9.9")
    task.cancel()


async def test_after_the_update_the_notice_is_gone(tmp_path: Path, feed: Feed) -> None:
    life = Life(tmp_path, feed)
    await life.updates.check()
    updated = Updates(life.settings, lambda: None, version="9.9.9")
    assert updated.state == UpdateState(1e9)


def test_a_damaged_memory_is_none(tmp_path: Path, feed: Feed) -> None:
    for text in ("", "[]", '{"other": 1}', "\ud800".encode("utf-8", "surrogatepass").hex()):
        (tmp_path / "update.json").write_text(text)
        assert Life(tmp_path, feed).updates.state == UpdateState()


def test_drafts_and_pre_releases_do_not_count() -> None:
    listed: list[object] = [
        {"tag_name": "v2.0.0", "draft": True},
        {"tag_name": "v1.9.0", "prerelease": True},
        {"tag_name": "v1.10.0", "html_url": "javascript:alert(1)"},
        {"tag_name": "v1.9.9", "html_url": LINK},
        {"tag_name": "nightly"},
    ]
    assert newest(listed) == ("1.10.0", None)
    assert newest([]) is None


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [
        ("1.2.1", "1.2.0", True),
        ("1.10.0", "1.9.9", True),
        ("1.2.0", "1.2.0rc1", True),
        ("1.2.0rc1", "1.2.0", False),
        ("1.2", "1.2.0", False),
        ("0.9", "1.0", False),
    ],
)
def test_versions_are_numbers(version: str, than: str, newer: bool) -> None:
    assert is_newer(version, than) is newer


def test_a_running_server_asks_by_itself_and_the_tray_hears_of_it(
    tmp_path: Path, feed: Feed
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        host=("127.0.0.1",),
        port=free_port(),
        upstream="demo",
        update_check=True,
        update_feed=feed.url,
    )
    server = Server(settings, create_pages)
    gateway = server.start()
    try:
        end = time.monotonic() + HANGS_S
        while not gateway.updates.state.version and time.monotonic() < end:
            time.sleep(0.01)
        assert gateway.updates.state.version == "9.9.9"
        assert len(feed.asked) == 1
    finally:
        server.stop()
