"""The pages in a real browser: first run on every road, a stream seen live, scripts on and off."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from server.gemini.catalogue import catalogue, today
from tests.browser.chromium import Browser
from tests.faults import until
from tests.google import account
from tests.google.account import PROJECT
from tests.google.failures import quota_exhausted, slow_first_byte, stalled
from tests.google.google import FakeGoogle
from tests.rig import GEMINI_KEY, Rig, running
from tests.support import serve

PAGES = ("/", "/setup", "/connect", "/settings", "/inspect", "/log", "/help", "/about")
COUNT_FETCHES = """
    window.fetches = 0;
    const asked = window.fetch;
    window.fetch = (...all) => { window.fetches += 1; return asked(...all); };
"""
SET_HIDDEN = """
    Object.defineProperty(document, "hidden", { get: () => %s, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
"""
LATE_FEED = """
    window.EventSource = class extends EventTarget {
      constructor() { super(); window.feed = this; }
      close() {}
    };
"""
HELD_FETCH = """
    const asked = window.fetch;
    window.fetch = async (...all) => {
      const answer = await asked(...all);
      window.fetch = asked;
      await new Promise((done) => { window.letGo = done; });
      return answer;
    };
"""
PRESS_AND_LOOK = """
    (async () => {
      const button = document.querySelector("form [value=check]").form.querySelector("button");
      button.click();
      button.click();
      const said = document.getElementById("said");
      while (!said.textContent) await new Promise((done) => setTimeout(done, 10));
      return [button.textContent, button.getAttribute("aria-busy"), said.textContent];
    })()
"""
COPIED = """
    (async () => {
      const said = document.getElementById("copied");
      while (!said.textContent) await new Promise((done) => setTimeout(done, 10));
      return said.textContent;
    })()
"""
CLICK_AND_STAY = """
    const link = document.getElementById("google-sign-in");
    link.removeAttribute("href");
    link.click();
"""
REACHABLE = """
    [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
      .filter((one) => one.checkVisibility() && one.type !== "hidden").length
"""
BEFORE_THE_END = """
    window.reached ??= new Set();
    var at = document.activeElement;
    window.reached.size < 2 || !(at === document.body || at.className === "skip")
      ? Boolean(window.reached.add(at)) : false;
"""
BEST = catalogue().candidates("best", "free", today())[0]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@asynccontextmanager
async def before_sign_in(
    folder: Path, google: FakeGoogle, **chosen: Any
) -> AsyncIterator[tuple[Rig, str]]:
    """A server whose every upstream address leads to the fake Google; nothing is set up yet."""
    async with serve(google) as base_url:
        client_file = folder / "client.json"
        client_file.write_text(json.dumps(google.oauth.client_config(base_url)), "utf-8")
        chosen.setdefault("gemini_api_key", None)
        async with running(
            folder,
            google=google,
            in_process=False,
            code_assist_endpoint=base_url,
            google_gemini_base_url=base_url,
            google_vertex_base_url=base_url,
            google_oauth_client_file=client_file,
            **chosen,
        ) as rig:
            yield rig, base_url


@pytest.mark.parametrize("scripts", [True, False])
async def test_first_run_with_an_api_key(tmp_path: Path, browser: Browser, scripts: bool) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    async with before_sign_in(tmp_path, google) as (rig, _):
        await browser("open", scripts=scripts)
        await browser("goto", url=rig.url)
        await browser("click", selector="text=choose how to reach Gemini")
        await browser("fill", selector="input[name=key]", text="wrong")
        await browser("click", selector="text=Save key and check it")
        await browser("see", selector="#check", text="does not accept this API key")
        await browser("fill", selector="input[name=key]", text=GEMINI_KEY)
        await browser("click", selector="text=Save key and check it")
        await browser("see", selector="#check", text="Gemini API key works")
        await browser("click", selector="#check >> text=Connect an app")
        await browser("click", selector="nav[aria-label=Tools] >> text=Claude Code")
        if not scripts:
            await browser("click", selector="text=Settings to copy (Claude Code)")
        await browser("see", selector="pre", text=f"ANTHROPIC_BASE_URL={rig.url}")
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 200


@pytest.mark.parametrize("scripts", [True, False])
async def test_first_run_with_the_browser_sign_in(
    tmp_path: Path, browser: Browser, scripts: bool
) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as (rig, _):
        await browser("open", scripts=scripts)
        await browser("goto", url=f"{rig.url}/setup")
        await browser("click", selector="#google-sign-in")
        if scripts:
            await browser("see", selector="#waiting", text="Waiting for your sign-in at Google")
        await browser("see", selector="h1", text="Signed in", on=1)
        await browser("see", selector="#check", text="Google sign-in works", on=1)
        if not scripts:
            await browser("click", selector="text=Look again")
        await browser("see", selector="main", text="Signed in as")
        await browser("click", selector="main >> text=Connect an app")
        assert rig.gateway.tokens.signed_in


@pytest.mark.parametrize("scripts", [True, False])
async def test_first_run_by_pasting_the_code(
    tmp_path: Path, browser: Browser, scripts: bool
) -> None:
    google = FakeGoogle()
    async with before_sign_in(tmp_path, google) as (rig, _):
        await browser("open", scripts=scripts)
        await browser("goto", url=f"{rig.url}/setup")
        link = await browser("attribute", selector="#google-sign-in", name="href")
        answer = await rig.http.get(link)
        await browser("fill", selector="input[name=code]", text=answer.headers["location"])
        await browser("click", selector="text=Finish sign-in")
        await browser("see", selector="#check", text="Google sign-in works")
        assert rig.gateway.tokens.signed_in


async def test_a_waiting_page_goes_on_when_another_tab_signs_in(
    tmp_path: Path, browser: Browser
) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as (rig, _):
        await browser("open")
        await browser("goto", url=f"{rig.url}/setup")
        link = await browser("attribute", selector="#google-sign-in", name="href")
        await browser("tab")
        await browser("goto", url=link, on=1)
        await browser("see", selector="h1", text="Signed in", on=1)
        await browser("see", selector="main", text="Signed in as", on=0)


async def test_what_is_being_typed_survives_a_change_of_the_account(
    tmp_path: Path, browser: Browser
) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as (rig, _):
        await browser("open")
        await browser("goto", url=f"{rig.url}/setup")
        await browser("fill", selector="input[name=key]", text="half a k")
        await rig.gateway.change("UPSTREAM", "demo")
        await browser("see", selector="#in-use", text="In use: The demo")
        typed = "document.querySelector('[name=key]').value"
        assert await browser("evaluate", script=typed) == "half a k"


async def test_a_refused_account_sees_why_and_where_to_go(tmp_path: Path, browser: Browser) -> None:
    google = FakeGoogle(account=account.unsupported_client())
    async with before_sign_in(tmp_path, google) as (rig, _):
        await browser("open")
        await browser("goto", url=f"{rig.url}/setup")
        await browser("click", selector="#google-sign-in")
        await browser("see", selector="#check", text="no longer serves", on=1)
        code = await browser("attribute", selector="#check", name="data-code", on=1)
        assert code == "UNSUPPORTED_CLIENT"
        link = await browser("attribute", selector="#check a", name="href", on=1)
        assert link.startswith("https://aistudio.google.com/")
        await browser("see", selector="#in-use", text="no longer serves")
        google.account = account.onboarded()
        await browser("click", selector="#in-use >> text=Check again")
        await browser("see", selector="#check", text="Google sign-in works")


async def test_first_run_with_vertex_says_what_is_missing(tmp_path: Path, browser: Browser) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as (rig, _):
        await browser("open", scripts=False)
        await browser("goto", url=f"{rig.url}/setup")
        await browser("fill", selector="input[name=GOOGLE_CLOUD_PROJECT]", text="my-project")
        await browser("click", selector="text=Save and check")
        await browser("see", selector="#check", text="Vertex AI does not work yet")


async def test_first_run_with_vertex_credentials(tmp_path: Path, browser: Browser) -> None:
    google = FakeGoogle()
    adc = tmp_path / "adc.json"
    async with before_sign_in(tmp_path, google, google_application_credentials=adc) as (rig, at):
        user = {"type": "authorized_user", **google.oauth.credentials(at)}
        adc.write_text(json.dumps(user), "utf-8")
        await browser("open")
        await browser("goto", url=f"{rig.url}/setup")
        await browser("fill", selector="input[name=GOOGLE_CLOUD_PROJECT]", text=PROJECT)
        await browser("click", selector="text=Save and check")
        await browser("see", selector="#check", text="Vertex AI works")


async def test_first_run_with_the_demo(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        await browser("open", scripts=False)
        await browser("goto", url=f"{rig.url}/setup")
        await browser("click", selector="text=Use the demo")
        await browser("see", selector="#check", text="The demo works")
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 200


async def test_a_stream_is_seen_while_it_runs_and_typing_survives_it(
    tmp_path: Path, browser: Browser
) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=rig.url)
        await browser("see", selector='[data-live="running"]', text="Nothing is running")
        await browser("fill", selector="input[name=RATE_LIMIT]", text="7")
        rig.google.fail(stalled(60, after=2))
        headers = {"user-agent": "my-tool/1.0"}
        request = asyncio.create_task(
            rig.http.post("/v1/chat/completions", json={**CHAT, "stream": True}, headers=headers)
        )
        await browser("see", selector='[data-live="running"] tr', text="my-tool")
        await browser("see", selector='[data-live="running"] td', text="answering")
        await browser("see", selector='[data-live="state"]', text="1 running")
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await browser("see", selector='[data-live="recent"] td', text="cancelled")
        await browser("see", selector='[data-live="running"]', text="Nothing is running")
        assert await browser("evaluate", script="document.activeElement.name") == "RATE_LIMIT"
        typed = "document.querySelector('[name=RATE_LIMIT]').value"
        assert await browser("evaluate", script=typed) == "7"


async def test_a_change_leaves_open_what_is_open(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("open")
        await browser("goto", url=rig.url)
        await browser("click", selector=".graph summary")
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("see", selector='[data-live="usage"] p', text="2 requests")
        opened = "document.querySelector('.graph details').open"
        assert await browser("evaluate", script=opened) is True


async def test_every_page_can_be_reached_by_the_keyboard(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=rig.url)
        await browser("press", key="Tab")
        assert await browser("evaluate", script="document.activeElement.className") == "skip"
        reached = []
        for _ in range(8):
            await browser("press", key="Tab")
            reached.append(
                await browser("evaluate", script="document.activeElement.getAttribute('href')")
            )
        assert reached == ["/", *PAGES[:-1]]  # /about is in the foot


async def test_the_keyboard_is_caught_nowhere(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        rig.gateway.pipeline.inspector.switch(on=True)
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("open")
        for path in PAGES:
            await browser("goto", url=rig.url + path)
            reached = 0
            while await browser("evaluate", script=BEFORE_THE_END):
                await browser("press", key="Tab")
                reached += 1
                assert reached < 200, path
            assert reached >= await browser("evaluate", script=REACHABLE), path


async def test_copying_says_so(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=f"{rig.url}/connect")
        await browser("click", selector="[data-copy=openai-url]")
        assert await browser("evaluate", script=COPIED)


async def test_a_hidden_page_asks_for_nothing_and_catches_up(
    tmp_path: Path, browser: Browser
) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=rig.url)
        await browser("see", selector='[data-live="recent"]', text="No requests yet")
        await browser("evaluate", script=f"{COUNT_FETCHES}; {SET_HIDDEN % 'true'}")
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("evaluate", script="new Promise((done) => setTimeout(done, 1500))")
        assert await browser("evaluate", script="window.fetches") == 0
        await until(lambda: not rig.gateway.usage._feeds)  # it does not even listen
        await browser("evaluate", script=SET_HIDDEN % "false")
        await browser("see", selector='[data-live="recent"] td', text=BEST)


async def test_a_change_keeps_scroll_and_selection(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        for _ in range(20):
            await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("open", width=800, height=600)
        await browser("goto", url=rig.url)
        await browser(
            "evaluate",
            script="scrollTo(0, 900); getSelection().selectAllChildren(usage)",
        )
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("see", selector='[data-live="usage"] p', text="21 requests")
        assert await browser("evaluate", script="scrollY") == 900
        assert await browser("evaluate", script="String(getSelection())") == "Usage"


async def test_what_changed_before_the_feed_was_there_is_shown(
    tmp_path: Path, browser: Browser
) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=rig.url)
        await browser("evaluate", script=f"{SET_HIDDEN % 'true'}; {LATE_FEED}")
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("evaluate", script=SET_HIDDEN % "false")
        await browser("see", selector='[data-live="usage"] p', text="1 request")
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("evaluate", script="window.feed.dispatchEvent(new Event('open'))")
        await browser("see", selector='[data-live="usage"] p', text="2 requests")


async def test_what_changed_while_a_page_was_on_its_way_is_shown(
    tmp_path: Path, browser: Browser
) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=rig.url)
        await browser("evaluate", script=HELD_FETCH)
        await rig.http.post("/v1/chat/completions", json=CHAT)
        held = "new Promise((done) => setInterval(() => window.letGo && done(), 20))"
        await browser("evaluate", script=held)
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("evaluate", script="new Promise((done) => setTimeout(done, 600))")
        await browser("evaluate", script="window.letGo()")
        await browser("see", selector='[data-live="usage"] p', text="2 requests")


async def test_a_page_says_when_the_server_is_gone_and_goes_on_when_it_is_back(
    tmp_path: Path, browser: Browser
) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=rig.url)
        await browser("offline", off=True)
        await browser("evaluate", script=SET_HIDDEN % "false")
        await browser("see", selector="#stale:not([hidden])", text="does not answer")
        assert await serious(browser) == []
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("offline", off=False)
        await browser("see", selector='[data-live="recent"] td', text=BEST)
        gone = "document.getElementById('stale').hidden"
        assert await browser("evaluate", script=gone) is True


async def test_a_form_of_a_server_that_was_started_anew_still_works(
    tmp_path: Path, browser: Browser
) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=rig.url)
        await browser(
            "evaluate",
            script="document.querySelectorAll('[name=token]').forEach((f) => f.value = 'old')",
        )
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("see", selector='[data-live="recent"] td', text=BEST)
        await browser("fill", selector="input[name=RATE_LIMIT]", text="2")
        await browser("click", selector="text=Save limits")
        await browser("see", selector='[data-live="state"]', text="one every 2 s")


async def test_a_slow_check_shows_that_it_is_under_way(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        pressed = asyncio.Event()
        rig.google.fail(slow_first_byte(), methods={"models"}, times=None)
        rig.google.sleep = lambda _: pressed.wait()
        await browser("open")
        await browser("goto", url=f"{rig.url}/setup")
        said = await browser("evaluate", script=PRESS_AND_LOOK)
        assert said == ["Asking Google…", "true", "Asking Google…"]
        pressed.set()
        await browser("see", selector="#check", text="Gemini API key works")
        assert len(rig.google.calls("models")) == 1  # a second press sends nothing


async def test_what_a_button_has_changed_does_not_overtake_its_answer(
    tmp_path: Path, browser: Browser
) -> None:
    """The page hears of another upstream while Google is still being asked about it."""
    async with running(tmp_path, upstream="demo") as rig:
        rig.google.fail(slow_first_byte(2), methods={"models"}, times=None)
        await browser("open")
        await browser("goto", url=f"{rig.url}/setup")
        await browser("click", selector="text=Use Gemini API key")
        await browser("see", selector="#check", text="Gemini API key works")


async def test_a_live_request_is_seen_in_the_inspector(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        await browser("open")
        await browser("goto", url=f"{rig.url}/inspect")
        await browser("click", selector="text=Switch on")
        await browser("see", selector="main", text="it appears here by itself")
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("see", selector="#side-upstream pre", text='"Hello"')
        await browser("goto", url=rig.url)
        await browser("click", selector="tbody time")
        await browser("see", selector="#side-answer pre", text="chat.completion")


async def test_the_link_can_be_copied_where_there_is_no_clipboard(
    tmp_path: Path, browser: Browser
) -> None:
    async with before_sign_in(tmp_path, FakeGoogle()) as (rig, _):
        await browser("open")
        await browser("goto", url=f"{rig.url}/setup")
        link = await browser("attribute", selector="#google-sign-in", name="href")
        await browser("evaluate", script="navigator.clipboard.writeText = () => Promise.reject()")
        await browser("evaluate", script="document.getElementById('waiting').hidden = false")
        await browser("evaluate", script="document.querySelector('#waiting button').click()")
        assert await browser("read", selector="#waiting code") == link


@pytest.mark.parametrize("scripts", [True, False])
async def test_the_key_opens_every_page_and_logging_out_closes_them(
    tmp_path: Path, browser: Browser, scripts: bool
) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        await browser("open", scripts=scripts)
        await browser("goto", url=f"{rig.url}/settings")
        await browser("fill", selector="input[name=key]", text="wrong")
        await browser("press", key="Enter")
        await browser("see", selector="[role=alert]", text="not the key")
        await browser("fill", selector="input[name=key]", text="right")
        await browser("press", key="Enter")
        await browser("see", selector="h1", text="Settings")
        for path in PAGES:
            await browser("goto", url=rig.url + path)
            await browser("see", selector="header", text="Log out")
        await browser("click", selector="text=Log out")
        await browser("see", selector="h1", text="Log in")


async def test_axe_finds_nothing_serious_on_any_page(tmp_path: Path, browser: Browser) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    async with before_sign_in(tmp_path, google, gemini_api_key=GEMINI_KEY) as (rig, _):
        await browser("open")
        await sign_in(browser, rig)
        assert await serious(browser) == []
        await rig.http.post("/v1/chat/completions", json=CHAT)
        google.fail(quota_exhausted())
        await rig.http.post("/v1/chat/completions", json=CHAT)
        rig.gateway.pipeline.inspector.switch(on=True)
        await rig.http.post("/v1/chat/completions", json=CHAT)
        for path in (*PAGES, "/inspect?id=gone", "/auth", "/nowhere"):
            await browser("goto", url=rig.url + path)
            assert await serious(browser) == [], path
        await browser("goto", url=f"{rig.url}/settings")
        await browser("fill", selector="#PORT", text="often")
        await browser("click", selector="text=Save Listening")
        await browser("see", selector="[role=alert]", text="Nothing was saved")
        assert await serious(browser) == []
        google.oauth.revoke_all()
        await rig.gateway.check_account()
        for path in ("/", "/setup"):
            await browser("goto", url=rig.url + path)
            assert await serious(browser) == [], path


async def test_axe_finds_nothing_serious_before_the_first_run_and_at_the_door(
    tmp_path: Path, browser: Browser
) -> None:
    google = FakeGoogle(account=account.validation_required(loads=99))
    async with before_sign_in(tmp_path, google) as (rig, _):
        await browser("open")
        for path in PAGES:
            await browser("goto", url=rig.url + path)
            assert await serious(browser) == [], path
        await browser("goto", url=f"{rig.url}/setup")
        link = await browser("attribute", selector="#google-sign-in", name="href")
        await browser("evaluate", script=CLICK_AND_STAY)
        await browser("see", selector="#waiting", text="Waiting")
        assert await serious(browser) == []
        await browser("tab")
        await browser("goto", url=link, on=1)
        await browser("see", selector="h1", text="Signed in", on=1)
        assert await serious(browser, on=1) == []
        await browser("see", selector="#in-use", text="verified")
        assert await serious(browser) == []
        await browser("click", selector="text=Use the demo")
        await browser("see", selector="#check", text="works")
        assert await serious(browser) == []
    async with running(tmp_path, api_keys=("right",)) as rig:
        await browser("goto", url=rig.url)
        assert await serious(browser) == []
        await browser("fill", selector="input[name=key]", text="wrong")
        await browser("press", key="Enter")
        await browser("see", selector="[role=alert]", text="not the key")
        assert await serious(browser) == []


async def sign_in(browser: Browser, rig: Rig) -> None:
    """In one tab, as a person does who copies the link."""
    await browser("goto", url=f"{rig.url}/setup")
    await browser("goto", url=await browser("attribute", selector="#google-sign-in", name="href"))
    await browser("see", selector="h1", text="Signed in")


async def serious(browser: Browser, on: int = 0) -> list[Any]:
    """What axe-core calls serious or critical on the page that is open, in light and in dark."""
    found = []
    for scheme in ("light", "dark"):
        await browser("scheme", scheme=scheme, on=on)
        found += await browser("axe", on=on)
    return [problem for problem in found if problem["impact"] in ("serious", "critical")]


async def test_nothing_is_wider_than_a_phone(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/v1/chat/completions", json=CHAT)
        await browser("open", width=360, height=740)
        rig.gateway.pipeline.inspector.switch(on=True)
        await rig.http.post("/v1/chat/completions", json=CHAT)
        for path in PAGES:
            await browser("goto", url=rig.url + path)
            width = await browser("evaluate", script="document.documentElement.scrollWidth")
            assert width <= 360, path


async def test_a_name_without_end_widens_no_page(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path) as rig:
        rig.gateway.pipeline.inspector.switch(on=True)
        for model in ("gpt-4o", "gemini-" + "x" * 200):
            request = {**CHAT, "model": model}
            headers = {"user-agent": "A" * 64}
            await rig.http.post("/v1/chat/completions", json=request, headers=headers)
        await browser("open")
        for width in (1280, 720, 360):
            await browser("look", width=width, height=740, scheme="light")
            for path in ("/", "/inspect"):
                await browser("goto", url=rig.url + path)
                shown = await browser("evaluate", script="document.documentElement.scrollWidth")
                assert shown <= width, path


async def test_what_the_doctor_found_fits_a_phone(tmp_path: Path, browser: Browser) -> None:
    async with running(tmp_path, gemini_api_key=None) as rig:
        await browser("open", width=360, height=740)
        await browser("goto", url=f"{rig.url}/help")
        await browser("click", selector="text=Look now")
        await browser("see", selector=".findings", text="port")
        width = await browser("evaluate", script="document.documentElement.scrollWidth")
        assert width <= 360
        last = "document.querySelector('.findings td:last-child').getBoundingClientRect().width"
        assert await browser("evaluate", script=last) > 250
