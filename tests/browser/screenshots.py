"""``make screenshots``: every page state as PNG, light and dark, narrow and wide."""

import asyncio
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from server.core.request_record import Exchange
from server.core.throttle import Ticket
from server.errors import RateLimitError
from server.gemini.types import Usage
from server.logs import configure_logging
from server.upstreams.code_assist import CodeAssist
from tests.browser.chromium import Browser, chromium
from tests.google import account
from tests.google.google import FakeGoogle
from tests.rig import GEMINI_KEY, Rig, running
from tests.support import nobody, serve

TO = Path("build/screenshots")
LOOKS = {
    "wide-light": (1280, 800, "light"),
    "wide-dark": (1280, 800, "dark"),
    "narrow-light": (360, 780, "light"),
    "narrow-dark": (360, 780, "dark"),
}
REFUSED = {
    "unsupported-client": account.unsupported_client(),
    "verification": account.validation_required(loads=99),
    "suspended": account.tos_violation(),
    "licence": account.missing_licence(),
    "service-disabled": account.service_disabled(),
    "age": account.ineligible("RESTRICTED_AGE"),
    "location": account.ineligible("UNSUPPORTED_LOCATION"),
    "ineligible": account.ineligible("INELIGIBLE_ACCOUNT"),
    "project": account.own_project("their-project"),
}
CLIENTS = ("claude-cli", "codex_cli_rs", "OpenAI/Python", "Zed", "curl")
MODELS = ("gemini-3.1-pro-preview", "gemini-3.5-flash", "gemini-3.1-flash-lite")


async def shoot(browser: Browser, name: str, url: str) -> None:
    """One page in every look."""
    await browser("goto", url=url)
    for look, (width, height, scheme) in LOOKS.items():
        await browser("look", width=width, height=height, scheme=scheme)
        await browser("shot", path=str(TO / f"{name}-{look}.png"))


def an_exchange(number: int, chance: random.Random, ago_s: float) -> Exchange:
    """A request as it might have been."""
    exchange = Exchange(
        id=f"shot-{number}",
        dialect=chance.choice(("anthropic", "openai-chat", "openai-responses")),
        operation="generate",
        client=chance.choices(CLIENTS, (6, 3, 3, 2, 1))[0],
        asked="claude-sonnet-5-5",
        model=chance.choices(MODELS, (5, 3, 2))[0],
        upstream="code-assist",
        stream=True,
        attempts=1,
        started=time.time() - ago_s,
    )
    prompt, thoughts = chance.randint(800, 60_000), chance.choice((0, 300, 2200))
    exchange.usage_by_request[0] = Usage(
        prompt_tokens=prompt,
        candidates_tokens=chance.randint(40, 2500),
        thoughts_tokens=thoughts,
        cached_tokens=prompt // 2 if chance.random() < 0.5 else 0,
        estimated=number % 9 == 0,
    )
    exchange.began -= chance.uniform(0.8, 30)
    exchange.first_token_s = chance.uniform(0.3, 0.8)
    return exchange


def fill(rig: Rig) -> None:
    """A month of work, the same at every run."""
    chance = random.Random(4)
    days = (chance.choice((0, 0, *range(1, 29))) for _ in range(420))
    for number, ago_s in enumerate(
        sorted((day * 86_400 + chance.uniform(0, 3000) for day in days), reverse=True)
    ):
        exchange = an_exchange(number, chance, ago_s)
        if chance.random() < 0.05:
            exchange.fail(
                RateLimitError(
                    "You have exhausted your capacity on this model. Your quota will reset after "
                    "9h22m20s.",
                    source="quota",
                    exhausted=True,
                )
            )
        rig.gateway.usage.record(exchange.entry())


def keep_busy(rig: Rig) -> None:
    """Requests under way: one answering, one waiting for its first token, two queued."""
    chance = random.Random(7)
    throttle = rig.gateway.throttle
    for number in range(4):
        exchange = an_exchange(9000 + number, chance, 12)
        if number:
            exchange.first_token_s = None
            exchange.usage_by_request.clear()
        if number > 1:
            ticket: Ticket = throttle.ticket(("code-assist", exchange.model))
            exchange.tickets.append(ticket)
            throttle._waiting.append(ticket)
        rig.gateway.pipeline.live[exchange.id] = exchange


def use_quota(rig: Rig) -> None:
    """Some of the quota is gone, as after a day of work."""
    upstream = rig.gateway.doors.current()
    assert isinstance(upstream, CodeAssist)
    chance = random.Random(2)
    upstream._quota = tuple(
        replace(
            bucket,
            remaining_fraction=chance.choice((0.04, 0.31, 0.62, 0.9, 1.0)),
            reset_at=time.time() + chance.choice((2400, 18_700, 33_740)),
        )
        for bucket in upstream.quota()
    )


@asynccontextmanager
async def signed_in(
    google: FakeGoogle, browser: Browser, folder: Path, **chosen: Any
) -> AsyncIterator[Rig]:
    """A server whose browser has signed in at the fake Google."""
    async with serve(google) as base_url:
        client_file = folder / "client.json"
        client_file.write_text(json.dumps(google.oauth.client_config(base_url)), "utf-8")
        async with running(
            folder,
            google=google,
            in_process=False,
            gemini_api_key=None,
            code_assist_endpoint=base_url,
            google_oauth_client_file=client_file,
            **chosen,
        ) as rig:
            await browser("goto", url=f"{rig.url}/setup")
            link = await browser("attribute", selector="#google-sign-in", name="href")
            await browser("goto", url=link)
            await browser("see", text="Signed in", selector="h1")
            yield rig


async def empty_pages(browser: Browser, folder: Path) -> None:
    async with running(folder, gemini_api_key=None) as rig:
        for path in (
            "",
            "setup",
            "settings",
            "connect",
            "inspect",
            "log",
            "help",
            "about",
            "nowhere",
        ):
            await shoot(browser, f"empty-{path or 'dashboard'}", f"{rig.url}/{path}")
        await browser("goto", url=f"{rig.url}/help")
        await browser("click", selector="text=Look now")
        await browser("see", selector=".findings", text="port")
        await here(browser, "help-findings")
        rig.gateway.pipeline.inspector.switch(on=True)
        await shoot(browser, "inspect-waiting", f"{rig.url}/inspect")
        await roads(browser, rig)
        await settings_states(browser, rig)
        await shoot(browser, "code-refused", f"{rig.url}/auth?code=x&state=y")
        await browser("goto", url=f"{rig.url}/")
        await browser("offline", off=True)
        await browser("evaluate", script="document.dispatchEvent(new Event('visibilitychange'))")
        await browser("see", selector="#stale:not([hidden])", text="does not answer")
        await here(browser, "no-server")
        await browser("offline", off=False)
    async with running(folder, api_keys=("right",)) as rig:
        await shoot(browser, "login", f"{rig.url}/")
        await browser("fill", selector="input[name=key]", text="wrong")
        await browser("click", selector="text=Log in >> nth=-1")
        await here(browser, "login-wrong")
        await browser("fill", selector="input[name=key]", text="right")
        await browser("press", key="Enter")
        await browser("see", selector="header", text="Log out")
        await here(browser, "logged-in")


async def roads(browser: Browser, rig: Rig) -> None:
    """What each road says to a first try."""
    await browser("goto", url=f"{rig.url}/setup")
    await browser("click", selector="text=Check the demo")
    await browser("see", selector="#check", text="works")
    await here(browser, "setup-demo-works")
    await browser("click", selector="#check >> text=Use it now")
    await browser("see", selector=".tag", text="in use")
    await here(browser, "setup-demo-in-use")
    await shoot(browser, "demo-dashboard", rig.url)
    await browser("goto", url=f"{rig.url}/setup")
    await browser("fill", selector="input[name=key]", text="not-a-key")
    await browser("click", selector="text=Save key and check it")
    await browser("see", selector="#check", text="does not")
    await here(browser, "setup-key-refused")
    await browser("fill", selector="input[name=key]", text=GEMINI_KEY)
    await browser("click", selector="text=Save key and check it")
    await browser("see", selector="#check", text="works")
    await here(browser, "setup-key-works")
    await browser("fill", selector="input[name=GOOGLE_CLOUD_PROJECT]", text="my-project")
    await browser("click", selector="text=Save and check")
    await browser("see", selector="#check", text="does not")
    await here(browser, "setup-vertex-missing")


async def settings_states(browser: Browser, rig: Rig) -> None:
    """A wrong field, a saved one, one that waits for a restart."""
    await browser("goto", url=f"{rig.url}/settings")
    await browser("fill", selector="#PORT", text="often")
    await browser("click", selector="text=Save Listening")
    await browser("see", selector="[role=alert]", text="Nothing was saved")
    await here(browser, "settings-wrong")
    await browser("fill", selector="#PORT", text="9123")
    await browser("click", selector="text=Save Listening")
    await browser("see", text="Restart needed")
    rig.gateway.on_restart = lambda: None
    await shoot(browser, "settings-restart", f"{rig.url}/settings")
    await browser("click", selector="text=Restart the server…")
    await browser("see", selector="h1", text="Restart the server?")
    await here(browser, "restart-question")


async def connect_states(browser: Browser, rig: Rig) -> None:
    """A tool that was found, then connected, then verified."""
    (Path.home() / ".claude").mkdir()
    await shoot(browser, "connect-found", f"{rig.url}/connect")
    await browser("click", selector="text=Apply (Claude Code)")
    await browser("see", selector=".told", text="written")
    await here(browser, "connect-connected")
    await browser("click", selector="text=Verify with a request (Claude Code)")
    await browser("see", selector=".told", text="answered")
    await here(browser, "connect-verified")
    await browser("click", selector="text=Undo (Claude Code)")
    await browser("see", selector=".told", text="without us")


async def picture(browser: Browser, name: str, url: str, *look: Any) -> None:
    """What a window of this size shows: the pictures in ``docs/images``."""
    width, height, scheme = look
    await browser("look", width=width, height=height, scheme=scheme)
    await browser("goto", url=url)
    await browser("shot", path=str(TO / f"readme-{name}.png"), whole=False)


async def here(browser: Browser, name: str) -> None:
    """The page that is open, in every look."""
    for look, (width, height, scheme) in LOOKS.items():
        await browser("look", width=width, height=height, scheme=scheme)
        await browser("shot", path=str(TO / f"{name}-{look}.png"))


WAIT = """
    document.getElementById("google-sign-in").removeAttribute("href");
    document.getElementById("google-sign-in").click();
"""


def log_something(rig: Rig) -> None:
    """What a day may bring."""
    configure_logging(rig.gateway.settings)
    logging.getLogger("server.host.gateway").info("WAIT_MODE was changed")
    logging.getLogger("server.edge.request").info("req_1 anthropic 429: The queue is full.")
    logging.getLogger("server.upstreams.choice").warning(
        "code-assist did not list its models: HTTP 503."
    )
    fault = ValueError("for the picture")
    logging.getLogger("server.edge.app").error("req_2 failed", exc_info=fault)


async def busy_pages(browser: Browser, folder: Path) -> None:
    async with signed_in(FakeGoogle(), browser, folder, wait_mode=True) as rig:
        await here(browser, "signed-in")
        fill(rig)
        keep_busy(rig)
        use_quota(rig)
        for days in (1, 7, 30):
            await shoot(browser, f"busy-dashboard-{days}", f"{rig.url}/?days={days}")
        await picture(browser, "dashboard", f"{rig.url}/?days=7", 1120, 1340, "light")
        await shoot(browser, "inspect-off", f"{rig.url}/inspect")
        rig.gateway.pipeline.inspector.switch(on=True)
        chat = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
        rig.gateway.throttle._waiting.clear()
        await rig.http.post("/v1/chat/completions", json=chat)
        await rig.http.post("/v1/messages/count_tokens", json=chat)
        vectors = {"model": "text-embedding-3-small", "input": "Hello", "dimensions": 8}
        await rig.http.post("/v1/embeddings", json=vectors)
        await rig.http.post("/v1/chat/completions", json={**chat, "stream": True})
        await shoot(browser, "inspect-on", f"{rig.url}/inspect")
        await browser("look", width=1720, height=1000, scheme="dark")
        await browser("shot", path=str(TO / "inspect-on-widest-dark.png"))
        await connect_states(browser, rig)
        log_something(rig)
        await shoot(browser, "log", f"{rig.url}/log")
        await shoot(browser, "busy-setup", f"{rig.url}/setup")
        await browser("evaluate", script=WAIT)
        await here(browser, "setup-waiting")
        rig.gateway.pipeline.live.clear()


async def failing_pages(browser: Browser, folder: Path, only: Sequence[str]) -> None:
    for name, who in REFUSED.items():
        if only and name not in only:
            continue
        place = folder / name
        place.mkdir()
        google = FakeGoogle(account=who)
        async with signed_in(google, browser, place) as rig:
            await here(browser, f"refused-{name}-signed-in")
            await shoot(browser, f"refused-{name}", f"{rig.url}/setup")
            if name == "verification":
                google.oauth.revoke_all()
                await rig.gateway.check_account()
                await shoot(browser, "refused-sign-in-ended", f"{rig.url}/setup")
                await shoot(browser, "refused-sign-in-ended-dashboard", rig.url)
            if name == "unsupported-client":
                await shoot(browser, "refused-dashboard", f"{rig.url}/")
                await picture(browser, "setup", f"{rig.url}/setup", 900, 760, "dark")
                rig.gateway.access.generated_key = None
                await picture(browser, "connect", f"{rig.url}/connect", 390, 760, "light")


async def render(only: Sequence[str]) -> None:
    TO.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, tempfile.TemporaryDirectory() as name:
        os.environ.update(nobody(Path(name)), PATH=name)  # the browser is up
        await browser("open")
        for work in (empty_pages, busy_pages):
            folder = Path(name) / work.__name__
            folder.mkdir()
            await work(browser, folder)
        await failing_pages(browser, Path(name), only)


if __name__ == "__main__":
    asyncio.run(render(sys.argv[1:]))
