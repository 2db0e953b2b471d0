"""What tests of more than one module need: the fake Google on a socket, and asking it directly."""

import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.google.account import PROJECT
from tests.google.google import API_KEY, FakeGoogle
from tests.google.keys import OLD_PAID
from tests.google.serving import Handler, serving
from tests.google.transport import InProcessTransport

Json = dict[str, Any]

HANGS_S = 60.0
"""What has not come after so long never will: no machine is too slow for it."""

WHEREABOUTS = (
    "APPDATA",
    "CLAUDE_CONFIG_DIR",
    "CODEX_HOME",
    "CONTINUE_GLOBAL_DIR",
    "GEMINI_CLI_HOME",
    "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
    "LLM_USER_PATH",
    "XDG_CONFIG_HOME",
)
"""What leads ``server.connect`` out of the home folder; empty is unset."""


def nobody(home: Path) -> dict[str, str]:
    """The environment of a user without any tool: /connect looks at the developer's otherwise."""
    return {**dict.fromkeys(WHEREABOUTS, ""), "HOME": str(home), "USERPROFILE": str(home)}


def free_port() -> int:
    """A port of the loopback that nobody listens on, below those that systems give to outgoing
    connections: one of these might take it before the program under test does."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def old_google(**fields: Any) -> FakeGoogle:
    """A Google whose key may use every model, the 2.5 family too, whatever day it is."""
    return FakeGoogle(history=OLD_PAID, today="2026-11-28", old_vertex_projects={PROJECT}, **fields)


def serve(target: FakeGoogle | Handler) -> AbstractAsyncContextManager[str]:
    """``async with serve(google) as base_url``: a real socket on a free loopback port."""
    return serving(target.handle if isinstance(target, FakeGoogle) else target)


def user(*parts: str | Json) -> Json:
    """A user content; strings are text parts."""
    return {"role": "user", "parts": _parts(parts)}


def model(*parts: str | Json) -> Json:
    """A model content; strings are text parts."""
    return {"role": "model", "parts": _parts(parts)}


def _parts(parts: tuple[str | Json, ...]) -> list[Json]:
    return [{"text": part} if isinstance(part, str) else part for part in parts]


def call(name: str, args: Json | None = None, **more: str) -> Json:
    """A functionCall part; ``id`` goes into the call, ``thoughtSignature`` beside it."""
    inner: Json = {"name": name, "args": args or {}}
    if "id" in more:
        inner["id"] = more.pop("id")
    return {"functionCall": inner, **more}


def result(name: str, response: Json, **more: str) -> Json:
    """A functionResponse part."""
    return {"functionResponse": {"name": name, "response": response, **more}}


def weather_tool(**changes: object) -> Json:
    """One declared function, ``get_weather(city)``."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
        "required": ["city"],
    }
    declaration = {"name": "get_weather", "description": "Weather", "parametersJsonSchema": schema}
    return {"functionDeclarations": [declaration | changes]}


def events_of(body: bytes) -> list[Json]:
    """The JSON of every event of a whole, well-formed SSE body."""
    blocks = body.decode().replace("\r\n", "\n").split("\n\n")
    return [
        json.loads("\n".join(line[6:] for line in block.split("\n") if line.startswith("data: ")))
        for block in blocks
        if "data: " in block
    ]


def texts_of(chunks: list[Json]) -> str:
    """The visible text of chunks."""
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.get("candidates", [])
        for part in candidate["content"].get("parts", [])
    ]
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


class Asking:
    """Speaks to a FakeGoogle as a correct client would, in either door."""

    def __init__(self, google: FakeGoogle, http: httpx.AsyncClient) -> None:
        self.google = google
        self.http = http
        self.headers = {"authorization": f"Bearer {google.oauth.sign_in()['access_token']}"}
        self.key = {"x-goog-api-key": API_KEY}

    async def code_assist(self, method: str, body: Json, **headers: str) -> httpx.Response:
        """POST a body as it stands to the private API."""
        url = f"/v1internal:{method}"
        return await self.http.post(url, json=body, headers={**self.headers, **headers})

    async def envelope(
        self, request: Json, model: str = "gemini-3-flash-preview", *, stream: bool = True
    ) -> httpx.Response:
        """A generate request to Code Assist."""
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = {"model": model, "project": PROJECT, "user_prompt_id": "p-1", "request": request}
        return await self.code_assist(method, body)

    async def gemini(
        self, request: Json, model: str = "gemini-3.8-flash", method: str = "generateContent"
    ) -> httpx.Response:
        """A request to the Gemini API."""
        url = f"/v1beta/models/{model}:{method}"
        return await self.http.post(url, json=request, headers=self.key)


@asynccontextmanager
async def asking(google: FakeGoogle) -> AsyncIterator[Asking]:
    """An ``Asking`` over the in-process transport."""
    transport = InProcessTransport(google)
    async with httpx.AsyncClient(transport=transport, base_url="http://google.test") as http:
        yield Asking(google, http)


def message_of(response: httpx.Response) -> str:
    """The error message of a refusal."""
    body = response.json()
    error = body[0]["error"] if isinstance(body, list) else body["error"]
    return str(error["message"])
