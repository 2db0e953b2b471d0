"""The whole server in a test: real sockets in front, the fake Google behind it in-process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import anthropic
import httpx
import openai
from hypercorn.asyncio import serve
from hypercorn.typing import ASGIFramework

from server.core.downloads import Fetcher
from server.dialects import DIALECTS
from server.edge.app import Edge
from server.host.gateway import Gateway
from server.host.local_endpoints import Behind
from server.host.runtime import hypercorn_config
from server.settings.load import Settings
from tests.google.google import FakeGoogle
from tests.google.transport import InProcessTransport
from tests.support import HANGS_S, old_google
from webui.pages import create_pages

GEMINI_KEY = "fake-gemini-api-key"


@dataclass(slots=True)
class Rig:
    """A running server, its parts, and clients for it."""

    gateway: Gateway
    edge: Edge
    google: FakeGoogle
    url: str
    http: httpx.AsyncClient
    _clients: list[Any] = field(default_factory=list)

    def openai(self, **more: Any) -> openai.AsyncOpenAI:
        """The official OpenAI client; it does not retry, so that tests see every answer."""
        more.setdefault("max_retries", 0)
        client = openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key="any", **more)
        self._clients.append(client)
        return client

    def anthropic(self, **more: Any) -> anthropic.AsyncAnthropic:
        """The official Anthropic client."""
        more.setdefault("max_retries", 0)
        client = anthropic.AsyncAnthropic(base_url=self.url, api_key="any", **more)
        self._clients.append(client)
        return client

    async def usage(self) -> dict[str, Any]:
        answer = await self.http.get("/usage")
        return cast("dict[str, Any]", answer.json())

    async def google_answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the fake Google itself answers, without us between."""
        async with httpx.AsyncClient(transport=InProcessTransport(self.google)) as http:
            url = f"https://generativelanguage.googleapis.com/v1beta/{path}"
            answer = await http.post(url, json=body, headers={"x-goog-api-key": GEMINI_KEY})
        return cast("dict[str, Any]", answer.json())

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The generate requests Google received, bodies only."""
        return [entry.json for entry in self.google.calls("streamGenerateContent")]


@asynccontextmanager
async def running(
    data_dir: Path,
    *,
    google: FakeGoogle | None = None,
    fetcher: Fetcher | None = None,
    keep_alive_s: float = 10.0,
    in_process: bool = True,
    **chosen: Any,
) -> AsyncIterator[Rig]:
    """Serve on a free port. ``chosen``: fields of ``Settings``; by default gemini-api answers.

    ``in_process=False``: upstream addresses in ``chosen`` lead to real sockets.
    """
    google = google or old_google(api_keys={GEMINI_KEY})
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    chosen.setdefault("gemini_api_key", GEMINI_KEY)
    settings = Settings(data_dir=data_dir, port=port, token_file=data_dir / "google_token.json")
    settings = replace(settings, **chosen)
    inside = httpx.AsyncClient(transport=InProcessTransport(google)) if in_process else None
    gateway = Gateway(settings, http=inside, fetcher=fetcher)
    gateway.access.ensure_key()
    edge = Edge(
        gateway.pipeline,
        gateway.access,
        DIALECTS,
        Behind(gateway, create_pages),
        gateway.responses,
        keep_alive_s=keep_alive_s,
    )
    stop = asyncio.Event()
    framework = cast("ASGIFramework", edge)
    serving = asyncio.create_task(
        serve(framework, hypercorn_config([listener]), shutdown_trigger=stop.wait)
    )
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, timeout=HANGS_S, trust_env=False) as http:
        rig = Rig(gateway, edge, google, url, http)
        try:
            yield rig
        finally:
            for client in rig._clients:
                await client.close()
            gateway.stopping.set()
            gateway.usage.publish({"type": "stopping"})
            edge.stop()
            stop.set()
            await asyncio.wait({serving}, timeout=3)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await gateway.aclose()
