"""What the dashboard says of requests under way, of quota and of the past."""

import asyncio
import re
from html import unescape
from pathlib import Path

from server.core.request_record import Exchange
from server.core.throttle import Throttle
from server.gemini.types import Usage
from server.upstreams.code_assist import Quota
from tests.google.failures import no_usage, quota_exhausted
from tests.rig import running
from webui.dashboard import last_refusal, live_rows, live_state, period_of, quota_bars

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def exchange() -> Exchange:
    return Exchange(id="1", dialect="anthropic", operation="generate", client="claude-cli")


async def test_the_state_of_a_request_follows_its_life() -> None:
    throttle = Throttle(rate_limit_s=60, wait_mode=True)
    one = exchange()
    assert live_state(one) == "reading"
    await throttle.ticket(("demo", "m")).turn()
    one.tickets.append(throttle.ticket(("demo", "m")))
    waiting = asyncio.create_task(one.tickets[0].turn())
    await asyncio.sleep(0)
    assert live_state(one) == "queued, place 1"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    one.attempts = 1
    assert live_state(one) == "waiting for Gemini"
    one.answered()
    assert live_state(one) == "answering"


async def test_what_is_queued_does_not_run(tmp_path: Path) -> None:
    async with running(tmp_path, rate_limit_s=60.0, wait_mode=True) as rig:
        lane, one = ("demo", "m"), exchange()
        await rig.gateway.throttle.ticket(lane).turn()
        one.tickets.append(rig.gateway.throttle.ticket(lane))
        waiting = asyncio.create_task(one.tickets[0].turn())
        await asyncio.sleep(0)
        rig.gateway.pipeline.live["1"] = one
        assert "<dd>0 running, 1 queued</dd>" in (await rig.http.get("/")).text
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


def test_a_live_row_has_the_numbers_of_now() -> None:
    one = exchange()
    one.attempts, one.first_token_s = 3, 0.25
    one.usage_by_request[0] = Usage(
        prompt_tokens=100, candidates_tokens=5, thoughts_tokens=7, cached_tokens=40
    )
    (row,) = live_rows([one], one.began + 2)
    assert row.elapsed_ms == 2000
    assert row.first_token_ms == 250
    assert (row.input_tokens, row.output_tokens) == (100, 12)
    assert (row.cached_tokens, row.thought_tokens, row.retries) == (40, 7, 2)


def test_the_emptiest_quota_comes_first_and_the_unknown_last() -> None:
    bars = quota_bars(
        (
            Quota(model="a", remaining_fraction=None),
            Quota(model="b", remaining_fraction=1.0, reset_at=160.0),
            Quota(model="c", remaining_fraction=0.5),
            Quota(model="c", remaining_fraction=0.125, remaining=12),
        ),
        now=100.0,
    )
    assert [(bar.model, bar.percent, bar.resets_in_s) for bar in bars] == [
        ("c", 12.5, None),
        ("b", 100.0, 60.0),
        ("a", None, None),
    ]


def test_only_periods_that_exist_are_asked_for() -> None:
    assert [period_of(text) for text in ("1", "30", "", "9", "x", "-1")] == [1, 30, 7, 7, 7, 7]


async def test_every_period_draws_what_was_recorded(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/v1/chat/completions", json=CHAT)
        for days in (1, 7, 30):
            html = (await rig.http.get(f"/?days={days}")).text
            assert "Tokens by model" in html
            assert re.search(r"<title>[^<]*gemini-4-hydrogen: \d+ tokens</title>", html)
            assert "1 request, 0 failed" in html
        assert "No requests in this period" not in html


async def test_errors_carry_googles_words(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.google.fail(quota_exhausted())
        answer = await rig.http.post("/v1/chat/completions", json=CHAT)
        html = unescape((await rig.http.get("/")).text)
    assert answer.json()["error"]["message"] in html
    assert '<h2 id="errors">' in html


def test_the_last_refusal_is_googles_not_ours() -> None:
    ours = {"outcome": "rate_limit", "attempts": 0}
    googles = {"outcome": "rate_limit", "attempts": 1}
    assert last_refusal([ours, googles]) is googles
    assert last_refusal([ours, {"outcome": "ok", "attempts": 1}]) is None


async def test_a_refusal_of_google_is_shown_whatever_the_upstream(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        assert '<h2 id="quota">' not in (await rig.http.get("/")).text
        rig.google.fail(quota_exhausted())
        await rig.http.post("/v1/chat/completions", json=CHAT)
        html = unescape((await rig.http.get("/")).text)
    assert "Last refusal for a limit of Google" in html
    assert "Individual quota reached" in html


async def test_demo_and_mock_rows_say_so(tmp_path: Path) -> None:
    async with running(tmp_path, upstream="demo") as rig:
        await rig.http.post("/v1/embeddings", json={"model": "m", "input": "x"})
        html = (await rig.http.get("/")).text
    assert "demo · mock vectors" in html


async def test_an_estimate_is_marked_wherever_it_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/v1/chat/completions", json=CHAT)
        assert (await rig.http.get("/")).text.count("≈") == 1  # the explanation
        rig.google.fail(no_usage())
        await rig.http.post("/v1/chat/completions", json=CHAT)
        html = (await rig.http.get("/")).text
    # Card, totals and their count, chart, two breakdowns with two numbers each, the row's two.
    assert html.count("≈") == 1 + 1 + 2 + 1 + 4 + 2


async def test_a_row_says_which_model_answered_where_it_was_another(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        for model in ("gemini-3.8-flash", "gemini-3.7-flash"):
            html = (await rig.http.get("/")).text
            assert "answered by" not in html
            answer = await rig.http.post("/v1/chat/completions", json={**CHAT, "model": model})
            assert answer.status_code == 200
        html = (await rig.http.get("/")).text
    assert html.count("answered by") == 1
    row = html[html.index('id="recent"') :]
    shown = 'gemini-3.7-flash<span class="small answered"> answered by gemini-3.8-flash</span>'
    assert shown in row
