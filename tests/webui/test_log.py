"""The log page: what was noted, by level, without credentials."""

import logging
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from server import logs
from server.logs import LogLine, configure_logging
from tests.rig import Rig, running
from webui.log import at_least


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, lines = root.handlers[:], root.level, logs._RECENT.lines.copy()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logs._RECENT.lines = lines


def line(number: int, level: str) -> LogLine:
    return LogLine(number, 0.0, level, "server", f"line {number}")


async def page(rig: Rig, query: str = "") -> str:
    answer = await rig.http.get(f"/log{query}")
    assert answer.status_code == 200
    return unescape(answer.text)


def test_a_level_shows_what_is_graver_too_newest_first() -> None:
    lines = [line(n, level) for n, level in enumerate(("debug", "info", "error", "warning"))]
    assert [kept.number for kept in at_least(lines, "warning")] == [3, 2]
    assert [kept.number for kept in at_least(lines, "debug")] == [3, 2, 1, 0]


def test_a_graver_level_than_all_of_ours_is_always_shown() -> None:
    assert at_least([line(1, "critical")], "error")


async def test_the_page_shows_entries_and_filters_them(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        configure_logging(rig.gateway.settings)
        logging.getLogger("server.upstreams.choice").warning(
            "a warning with sk-ant-exampleexample in it"
        )
        await rig.gateway.change("WAIT_MODE", "true")
        html = await page(rig)
        assert "WAIT_MODE was changed" in html
        assert "a warning with" in html
        assert "exampleexample" not in html
        html = await page(rig, "?level=warning")
        assert "WAIT_MODE was changed" not in html
        assert "a warning with" in html
        assert "No errors." in await page(rig, "?level=error")


async def test_an_unknown_level_is_the_one_that_is_recorded(tmp_path: Path) -> None:
    async with running(tmp_path, log_level="warning") as rig:
        html = await page(rig, "?level=nonsense")
        assert 'href="/log?level=warning" aria-current="true"' in html
        assert "?level=info" not in html  # there can be none


async def test_a_failed_request_is_a_warning_and_a_fault_an_error(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    async with running(tmp_path, google_gemini_base_url=nobody, in_process=False) as rig:
        configure_logging(rig.gateway.settings)
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
        url = "/v1/chat/completions"
        assert (await rig.http.post(url, json=body | {"messages": 1})).status_code == 400
        assert "No errors." in await page(rig, "?level=error")
        assert " openai-chat 400: " in await page(rig, "?level=warning")
        assert (await rig.http.post(url, json=body)).status_code == 502
        errors = await page(rig, "?level=error")
        assert " openai-chat 502: " in errors
        assert " openai-chat 400: " not in errors
