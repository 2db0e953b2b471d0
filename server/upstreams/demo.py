"""The ``demo`` upstream: a Gemini API of made-up answers, in the same process.

No account and no network. Everything between the client and Google is the real code; only the model
is made up, and every answer says so. It is for looking, not for agents: it calls no tool that the
client does not force (``server/demo/model.py``).
"""

from dataclasses import replace

import httpx

from server.aside import off_loop
from server.gemini.models import Model
from server.gemini.types import EmbedCall, Embedding
from server.limits import LARGE_BODY_BYTES, LARGE_BODY_OBJECTS
from server.upstreams.base import Account, Door, Parts, Turn, Upstream, at_once
from server.upstreams.gemini_api import GeminiApi
from server.upstreams.mock_vectors import mock_embedding

CHUNK_DELAY_S = 0.02
"""Slow enough to see that it streams."""
MADE_UP = "Demo: answers are made up on this computer."


class Demo(GeminiApi):
    """The Gemini API road with nobody at its end; its embeddings are mock ones, marked as such."""

    embeds = False

    def __init__(self, *, chunk_delay_s: float = CHUNK_DELAY_S) -> None:
        # Only who wants the demo pays for it at start: 60 ms and some megabytes.
        from server.demo.gemini_api import GeminiApi as Google  # noqa: PLC0415

        google = Google(chunk_delay_s=chunk_delay_s)

        async def answer(request: httpx.Request) -> httpx.Response:
            return await off_loop(lambda: google.handle(request), when=_is_large(request.content))

        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        super().__init__(http, "http://demo.invalid", "demo", name="demo")

    async def embed(self, call: EmbedCall, model: str, again: Turn = at_once) -> Embedding:
        return await mock_embedding(call, model)

    def listed(self) -> tuple[Model, ...]:
        """Labelled, so that nobody takes a name in a list for the model itself."""
        return tuple(
            replace(model, display_name=f"{model.display_name} (demo)", description=MADE_UP)
            for model in super().listed()
        )

    @property
    def credential(self) -> str:
        return ""

    def account(self) -> Account:
        return Account(authenticated=True, tier="demo")

    async def check(self) -> Account:
        return self.account()

    async def aclose(self) -> None:
        await self._http.aclose()


def _is_large(content: bytes) -> bool:
    """Whether reading it takes long enough for others to notice."""
    return len(content) > LARGE_BODY_BYTES or content.count(b"{") > LARGE_BODY_OBJECTS


def _build(_parts: Parts) -> Upstream:
    return Demo()


DOOR = Door(
    name="demo",
    title="Demo (no account, made-up answers)",
    configured=lambda _parts: False,  # never chosen by itself
    missing="",
    build=_build,
)
