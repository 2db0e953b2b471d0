"""What every Google door offers the pipeline.

An upstream yields *batches*: the chunks that one network read completed, so that a burst costs one
write to the client. All failures leave as ``ProxyError``; an upstream never retries on its own,
except once with renewed credentials after a 401 or a bare 403, and takes a turn for that.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import httpx

from server.auth.adc import Adc
from server.auth.eligibility import Problem
from server.auth.sign_in import Tokens
from server.gemini import known
from server.gemini.media import Address
from server.gemini.models import Model
from server.gemini.types import Chunk, Count, EmbedCall, Embedding, GenerateRequest, Json
from server.settings.load import Settings

Turn = Callable[[], Awaitable[None]]
"""Awaited before each further request sent for the same client request: RATE_LIMIT spaces it, and
it is counted."""


async def at_once() -> None:
    """The turn of whoever need not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request as it is sent: everything model-specific is settled."""

    model: str
    """The Gemini id, without ``models/``."""
    request: GenerateRequest
    answering: str = ""
    """The model expected to answer, where that is another one."""
    session: str
    """Stable per conversation and model (a UUID)."""
    prompt_id: str
    """Stable per client request (a UUID)."""
    unary: bool = False
    """Ask for the answer in one piece: exactly one chunk, just as Google made it."""
    verbatim: bool = False
    """The client's own request in Gemini's own dialect: nothing is added to it."""
    past_media: tuple[Json, ...] = ()
    """Parts of the request with media of earlier turns."""
    again: Turn = at_once
    large: bool = False
    """Too large to be written as JSON inside the event loop."""

    @property
    def method(self) -> str:
        """Google's method that asks for the answer."""
        return "generateContent" if self.unary else "streamGenerateContent?alt=sse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is behind an upstream, as far as known without asking again."""

    authenticated: bool
    email: str | None = None
    tier: str | None = None
    project: str | None = None
    problem: Problem | None = None


class Upstream(Protocol):
    """One Google door."""

    name: str
    door: known.Door
    """Which of the catalogue's doors it is, and so whose preferences ``auto`` takes."""
    embeds: bool
    """Whether ``embed`` asks Google; False: the vectors are mock ones made here."""

    def generate(self, out: Outgoing) -> AsyncGenerator[list[Chunk], None]:
        """Stream the answer. Closing the generator cancels the request upstream."""
        ...

    async def count_tokens(self, out: Outgoing) -> Count:
        """Tokens of exactly this request: system, tools and media included."""
        ...

    async def embed(self, call: EmbedCall, model: str, again: Turn = at_once) -> Embedding:
        """Vectors for ``call.inputs``; ``again`` for each request but the first."""
        ...

    async def models(self) -> tuple[Model, ...]:
        """What this account may use, without aliases; cached by the upstream."""
        ...

    @property
    def list_is_fresh(self) -> bool:
        """Whether ``models`` answers without asking Google."""
        ...

    def listed(self) -> tuple[Model, ...]:
        """What ``models`` said last, or what is known to live there; never waits."""
        ...

    @property
    def credential(self) -> str:
        """The name under which is kept what is learnt of models with the credential in use
        (``learned_models.fingerprint``); empty: nothing is learnt."""
        ...

    def account(self) -> Account:
        """The last known state; never waits."""
        ...

    async def check(self) -> Account:
        """Ask Google now (sign-in, tier, project) and return the state; failures are in it."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an upstream may be built from."""

    settings: Settings
    tokens: Tokens
    adc: Adc
    http: httpx.AsyncClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One line of the registry ``UPSTREAMS``."""

    name: str
    title: str
    """What a person calls it."""
    configured: Callable[[Parts], bool]
    """Whether its credential is there (contract section 3, *auto*)."""
    missing: str
    """What to do when it is not."""
    build: Callable[[Parts], Upstream]
    reads: tuple[str, ...] = ()
    """Fields of ``Settings`` it is built from; a change of any builds it anew."""
    addresses: tuple[Address, ...] = ()
    """Addresses of files that it reads itself."""
