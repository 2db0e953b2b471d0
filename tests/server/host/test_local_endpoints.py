"""What stands behind the edge: answers for programs, and pages built with the first visitor."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from server.edge.request import Request
from server.host.gateway import Gateway
from server.host.local_endpoints import Behind
from server.settings.load import Settings
from tests.faults import until
from tests.rig import running
from webui.pages import create_pages

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


async def test_pages_are_built_once_with_the_first_visitor_and_in_a_thread(tmp_path: Path) -> None:
    built: list[threading.Thread] = []

    def make(gateway: Gateway) -> Any:
        built.append(threading.current_thread())
        return create_pages(gateway)

    async with running(tmp_path) as rig:
        rig.edge._behind = Behind(rig.gateway, make)
        for path in ("/health", "/usage", "/metrics"):
            assert (await rig.http.get(path)).status_code == 200
        assert (await rig.http.post("/v1/chat/completions", json=CHAT)).status_code == 200
        assert not built
        answers = await asyncio.gather(*(rig.http.get("/") for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert len(built) == 1
        assert built[0] is not threading.current_thread()


async def test_answers_for_programs_are_for_nobody_else(tmp_path: Path) -> None:
    """Not kept by browsers, not framed, and without their body when only the head is asked."""
    async with running(tmp_path) as rig:
        for path in ("/health", "/usage", "/metrics"):
            whole, head = await rig.http.get(path), await rig.http.head(path)
            assert head.status_code == whole.status_code == 200
            assert head.content == b""
            assert whole.headers["cache-control"] == "no-store"
            assert whole.headers["x-content-type-options"] == "nosniff"
            assert whole.headers["x-request-id"]
            assert (await rig.http.post(path)).status_code == 404
        assert (await rig.http.head("/events")).headers["content-type"].startswith("text/event-")


async def test_programs_without_a_key_are_told_in_json(tmp_path: Path) -> None:
    async with running(tmp_path, api_keys=("right",)) as rig:
        for path in ("/usage", "/metrics", "/events"):
            refused = await rig.http.get(path)
            assert refused.status_code == 401
            assert "API key" in refused.json()["error"]["message"]
        assert (await rig.http.get("/health")).status_code == 200
        allowed = await rig.http.get("/usage", headers={"x-api-key": "right"})
        assert allowed.json()["total_requests"] == 0


async def test_a_feed_ends_with_its_listener_and_with_the_server(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        async with rig.http.stream("GET", "/events") as feed:
            assert await anext(feed.aiter_lines()) == ": connected"
            assert len(rig.gateway.usage._feeds) == 1
        await until(lambda: not rig.gateway.usage._feeds)
        async with rig.http.stream("GET", "/events") as feed:
            lines = feed.aiter_lines()
            assert await anext(lines) == ": connected"
            rig.gateway.stopping.set()
            rig.gateway.usage.publish({"type": "stopping"})
            assert [line async for line in lines if line] == ['data: {"type": "stopping"}']


async def test_a_listener_that_leaves_as_something_happens_is_let_go(tmp_path: Path) -> None:
    """Both in one turn of the loop: the page that is hidden, or left, by what is being sent."""
    left, told = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(_message: dict[str, Any]) -> None:
        told.set()

    gateway = Gateway(Settings(data_dir=tmp_path, token_file=tmp_path / "token.json"))
    request = Request({"method": "GET", "path": "/events"}, receive, send, {})
    listening = asyncio.create_task(Behind(gateway, create_pages)._events(request))
    await until(lambda: told.is_set() and len(gateway.usage._feeds) == 1)
    gateway.usage.publish({"type": "started"})
    left.set()
    await asyncio.wait({listening}, timeout=5)
    assert listening.done()
    assert not gateway.usage._feeds
    await gateway.aclose()


LAZY = (
    *("quart", "werkzeug", "jinja2", "click", "rich", "pygments", "prometheus_client"),
    *("google.auth", "google_auth_oauthlib", "requests", "tomlkit", "PIL", "webview"),
)


def test_the_program_is_imported_without_what_only_some_requests_need() -> None:
    code = f"import sys, main; print([name for name in {LAZY} if name in sys.modules])"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
