"""What the whole-program tests of issue 5 share: the dialects, a signed-in server, raw sockets."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.clock import FakeClock
from tests.google.google import FakeGoogle
from tests.rig import Rig, running
from tests.support import HANGS_S, serve

Json = dict[str, Any]
HELLO = [{"role": "user", "content": "Hello"}]
MODEL = "gemini-2.5-pro"
BODIES: dict[str, tuple[str, Json]] = {
    "openai": ("/v1/chat/completions", {"model": MODEL, "messages": HELLO}),
    "anthropic": ("/v1/messages", {"model": MODEL, "max_tokens": 99, "messages": HELLO}),
    "responses": ("/v1/responses", {"model": MODEL, "input": "Hello"}),
    "gemini": (
        f"/v1beta/models/{MODEL}:",
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
    ),
}
ENDS = {
    "openai": "data: [DONE]",
    "anthropic": "message_stop",
    "responses": "response.completed",
    "gemini": '"finishReason"',
}
"""What only a stream that ended well contains."""


def request_of(dialect: str, *, stream: bool) -> tuple[str, Json]:
    """Path and body of "Hello"."""
    path, body = BODIES[dialect]
    if dialect == "gemini":
        return path + ("streamGenerateContent?alt=sse" if stream else "generateContent"), body
    return path, {**body, **({"stream": True} if stream else {})}


def requests() -> Iterator[tuple[str, bool]]:
    """Every dialect, unary and streamed."""
    for dialect in BODIES:
        for stream in (False, True):
            yield dialect, stream


async def ask(rig: Rig, dialect: str, *, stream: bool = False) -> httpx.Response:
    """Send "Hello" and read the whole answer."""
    path, body = request_of(dialect, stream=stream)
    return await rig.http.post(path, json=body)


async def last_entry(rig: Rig) -> Json:
    """The newest row of ``/usage``."""
    recent: list[Json] = (await rig.usage())["recent_requests"]
    return recent[0]


def error_of(answer: httpx.Response) -> tuple[str, str]:
    """(the dialect's word for the error, its message) of an error body."""
    error = answer.json()["error"]
    return str(error.get("type") or error["status"]), str(error["message"])


async def at_once(_seconds: float) -> None:
    """A sleep that takes no time."""


@asynccontextmanager
async def signed_in(folder: Path, **chosen: Any) -> AsyncIterator[Rig]:
    """A server on Code Assist whose sign-in renews at the fake over a socket; pauses take no time.

    ``rig.google`` is that fake.
    """
    google = FakeGoogle()
    async with serve(google) as base:
        token, client = folder / "google_token.json", folder / "client.json"
        token.write_text(json.dumps(google.oauth.credentials(base)))
        client.write_text(json.dumps(google.oauth.client_config(base)))
        chosen = {"gemini_api_key": None, "google_oauth_client_file": client, **chosen}
        async with running(folder, google=google, upstream="code-assist", **chosen) as rig:
            rig.gateway.pipeline.sleep = at_once
            yield rig


def clocked(rig: Rig) -> FakeClock:
    """The clock by which the queue of ``rig`` goes from now on."""
    clock = FakeClock()
    rig.gateway.throttle._now, rig.gateway.throttle._sleep = clock.now, clock.sleep
    return clock


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A TCP server that speaks whatever ``talk`` does; yields its port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def connection(
    rig: Rig,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TCP connection to the server under test."""
    parts = urlsplit(rig.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def raw(rig: Rig, sent: bytes, *, within_s: float = 5) -> bytes:
    """Send bytes as they are; everything the server says until it closes, or stays silent."""
    async with connection(rig) as (reader, writer):
        writer.write(sent)
        await writer.drain()
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(within_s):
                while piece := await reader.read(65_536):
                    received += piece
        return received


def http_request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """A request as bytes; the connection closes after it."""
    length = [f"Content-Length: {len(body)}"] if body else []
    lines = [f"{method} {target} HTTP/1.1", *headers, *length, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def status_of(answer: bytes) -> int:
    """The status of a raw answer; 0 when there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


async def until(done: Callable[[], bool]) -> None:
    """Return as soon as ``done()``; fails where it never comes."""
    async with asyncio.timeout(HANGS_S):
        while not done():  # noqa: ASYNC110  # it watches more than one thing
            await asyncio.sleep(0.005)
