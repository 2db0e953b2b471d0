"""The whole server without a socket, and what every answer of it must be."""

import asyncio
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx

from server.core.downloads import Fetcher
from server.dialects import DIALECTS
from server.edge.app import Edge
from server.host.gateway import Gateway
from server.host.local_endpoints import Behind
from server.settings.load import Settings
from server.sse import SSEReader
from tests.faults import at_once
from tests.google.google import FakeGoogle
from tests.google.transport import InProcessTransport
from tests.support import old_google
from webui.pages import create_pages

Json = dict[str, Any]
T = TypeVar("T")
KEY = "fake-gemini-api-key"
MOST_S = 60.0
"""No answer takes longer than this, not even on a loaded machine."""


class Trouble(logging.Handler):
    """What was logged with a traceback: an error that nobody had expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.name == "asyncio":
            self.found.append(record)

    def raise_any(self) -> None:
        """Raise the first error there was."""
        found, self.found = self.found, []
        for record in found:
            error = record.exc_info[1] if record.exc_info else None
            raise AssertionError(record.getMessage()) from error


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


@dataclass(slots=True)
class Scripted(httpx.AsyncBaseTransport):
    """Google, as far as a target wants it to be healthy."""

    google: FakeGoogle
    script: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    """What to answer in Google's place; None leaves it to the fake."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.script(request)
        if answer is not None:
            return answer
        return await InProcessTransport(self.google).handle_async_request(request)


class Pieces(httpx.AsyncByteStream):
    """A body that arrives cut up."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def _nowhere(host: str, port: int) -> str:
    raise ValueError(f"{host}:{port} is not asked in a test")


class Server:
    """One server per target, used again and again. ``with Server(...) as server``."""

    def __init__(self, **chosen: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        self.folder = Path(self._folder.name)
        self.trouble = Trouble()
        self.google = old_google(api_keys={KEY})
        self.transport = Scripted(self.google)
        settings = Settings(
            data_dir=self.folder, token_file=self.folder / "google_token.json", gemini_api_key=KEY
        )
        self._settings = replace(settings, **chosen)
        self._runner = asyncio.Runner()

    def __enter__(self) -> "Server":
        logging.getLogger().addHandler(self.trouble)
        self.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.gateway.aclose())
        self._runner.close()
        logging.getLogger().removeHandler(self.trouble)
        self._folder.cleanup()

    async def _start(self) -> None:
        self.gateway = Gateway(
            self._settings,
            http=httpx.AsyncClient(transport=self.transport),
            fetcher=Fetcher(resolve=_nowhere),
        )
        self.gateway.pipeline.sleep = at_once
        behind = Behind(self.gateway, create_pages)
        self.edge = Edge(
            self.gateway.pipeline, self.gateway.access, DIALECTS, behind, self.gateway.responses
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end; an error that was only logged is raised as well."""
        result = self._runner.run(work)
        self.trouble.raise_any()
        return result

    def ask(
        self,
        method: str,
        path: str,
        body: Sequence[bytes] = (),
        headers: Sequence[tuple[str, str]] = (),
        *,
        query: str = "",
    ) -> Answer:
        """One request from this machine."""
        return self.run(self._ask(method, path, body, headers, query))

    async def _ask(
        self,
        method: str,
        path: str,
        body: Sequence[bytes],
        headers: Sequence[tuple[str, str]],
        query: str,
    ) -> Answer:
        waiting = [
            {"type": "http.request", "body": piece, "more_body": n < len(body) - 1}
            for n, piece in enumerate(body or [b""])
        ]
        sent: list[dict[str, Any]] = []
        forever = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not waiting:
                await forever.wait()
            return waiting.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        named = [("host", "127.0.0.1:8081")] if not any(n == "host" for n, _ in headers) else []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "root_path": "",
            "query_string": query.encode("latin-1", "replace"),
            "headers": [
                (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
                for name, value in (*named, *headers)
            ],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8081),
        }
        async with asyncio.timeout(MOST_S):
            await self.edge(scope, receive, send)
        head, *rest = sent
        assert head["type"] == "http.response.start", sent
        assert not rest[-1].get("more_body", False), "the answer has no end"
        names = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in head["headers"]}
        return Answer(head["status"], names, b"".join(part.get("body", b"") for part in rest))


# ── what an answer must be ───────────────────────────────────────────────────────────────────────


def strict(data: bytes) -> Any:
    """JSON as the standard has it."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(data.decode("utf-8"), parse_constant=refuse)


def check_error(dialect: str, body: Any, status: int | None = None) -> None:
    """The error is one in this dialect's own shape; the message is for a person."""
    error = body["error"]
    assert isinstance(error["message"], str), body
    assert error["message"].strip(), body
    assert "The proxy failed" not in error["message"], body
    match dialect:
        case "openai":
            assert isinstance(error["type"], str), body
            assert {"param", "code"} <= set(error), body
            assert isinstance(error["param"], str | None), body
            assert isinstance(error["code"], str | None), body
        case "anthropic":
            assert body["type"] == "error", body
            assert isinstance(error["type"], str), body
        case "gemini":
            assert isinstance(error["code"], int), body
            assert status in (None, error["code"]), (status, body)
            assert isinstance(error["status"], str), body
        case _:
            raise AssertionError(dialect)


def check_answer(dialect: str, answer: Answer) -> None:
    """The answer, whatever it is, is complete and in its dialect."""
    assert answer.headers["x-request-id"]
    assert all(value.isprintable() for value in answer.headers.values()), answer.headers
    if answer.kind == "text/event-stream":
        assert answer.status == 200
        check_stream(dialect, answer.body)
        return
    assert answer.kind == "application/json", answer
    assert int(answer.headers["content-length"]) == len(answer.body)
    body = strict(answer.body)
    if answer.status != 200:
        check_error(dialect, body, answer.status)
    if "retry-after" in answer.headers:
        assert int(answer.headers["retry-after"]) >= 0


def check_stream(dialect: str, body: bytes) -> None:
    """Every event can be read, and the stream ends as its dialect ends streams."""
    reader = SSEReader()
    events = reader.feed(body)
    rest = reader.close()
    assert dialect == "gemini" or not rest, body[-100:]
    events += rest
    done = events[-1:] == [b"[DONE]"]
    values = [strict(event) for event in (events[:-1] if done else events)]
    assert all(isinstance(value, dict) for value in values), body
    for value in values:
        if isinstance(value.get("error"), dict):
            check_error(dialect, value)
    last = values[-1] if values else {}
    ended = {
        "openai": done
        or "error" in last
        or last.get("type") in ("response.completed", "response.incomplete", "response.failed"),
        "anthropic": last.get("type") in ("message_stop", "error"),
        "gemini": True,
    }
    assert ended[dialect], body[-400:]


def refused(parse: Callable[[], object], *kinds: type[Exception]) -> bool:
    """Whether ``parse`` refuses its input in one of the documented ways."""
    try:
        parse()
    except kinds:
        return True
    return False
