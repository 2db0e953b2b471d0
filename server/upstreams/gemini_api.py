"""The Gemini Developer API: an API key, and real embeddings.

The road Google offers to every third-party tool. The key travels in a header only, never in an
address (addresses land in logs). Facts: code-assist dossier section 10; Gemini API reference.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from urllib.parse import quote, urlencode

import httpx

from server.aside import off_loop
from server.auth.eligibility import KEY_CODES, AccountError, Problem, problem_of
from server.errors import ProxyError
from server.gemini.known import Door
from server.gemini.models import Model, describe, living_models
from server.gemini.types import Chunk, Count, EmbedCall, Embedding, Json
from server.limits import VECTORS_AT_ONCE
from server.upstreams import base
from server.upstreams.base import Account, Outgoing, Parts, Turn, Upstream, at_once
from server.upstreams.embedding import beside_of, embedding_model, embedding_of, texts_of
from server.upstreams.learned_models import fingerprint
from server.upstreams.refusals import dicts
from server.upstreams.signs import Credential
from server.upstreams.wire import (
    FIRST_BYTE_S,
    UNARY_S,
    as_chunk,
    ask,
    build_request,
    count_of,
    prompt_tokens,
    stream_chunks,
    versioned,
)

MODELS_FRESH_S = 3600.0
MODELS_WITHIN_S = 10.0
REFUSAL_REMEMBERED_S = 30.0
MOST_PER_BATCH = 100
"""``batchEmbedContents`` takes no more requests than this at once."""


class GeminiApi:
    """The ``gemini-api`` upstream. ``http`` belongs to whoever passes it."""

    door: Door = "free"
    """A key of unknown kind counts as free."""
    embeds = True

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        key: str,
        *,
        stored: bool = False,
        name: str = "gemini-api",
        now: Callable[[], float] = time.time,
    ) -> None:
        """``stored``: Google may keep what is sent, where the key's project wants that."""
        self.name = name
        self._stored = stored
        self._http = http
        self._base = versioned(base_url, "v1beta")
        self._headers = {"x-goog-api-key": key}
        self._fingerprint = fingerprint(name, self._base, key)
        self._credential: Credential = "standard-key" if key.startswith("AIza") else "key"
        self._now = now
        self._listing = asyncio.Lock()
        self._models: tuple[Model, ...] = ()
        self._ask_models_at = 0.0
        self._problem: Problem | None = None

    async def generate(self, out: Outgoing) -> AsyncGenerator[list[Chunk], None]:
        """Stream the answer."""
        path = f"/models/{quote(out.model, safe='')}:{out.method}"
        request = await off_loop(
            lambda: self._request(path, self._generating(out), FIRST_BYTE_S), when=out.large
        )
        chunks = stream_chunks(
            self._http, request, as_chunk, credential=self._credential, unary=out.unary
        )
        with self._noted():
            async with aclosing(chunks) as batches:
                async for batch in batches:
                    self._problem = None
                    yield batch

    async def count_tokens(self, out: Outgoing) -> Count:
        """Counts system instruction and tools as well."""
        wrapped = {"model": f"models/{out.model}", **sendable(out)}
        answer = await self._ask(
            f"/models/{quote(out.model, safe='')}:countTokens", {"generateContentRequest": wrapped}
        )
        return count_of(answer)

    async def embed(self, call: EmbedCall, model: str, again: Turn = at_once) -> Embedding:
        """Real vectors of length 1; OpenAI's own model names lead to Google's embedding model."""
        texts = texts_of(call)
        model = embedding_model(model, await self.models())
        path = f"/models/{quote(model, safe='')}:batchEmbedContents"
        answers: list[Json] = []
        for body in embed_bodies(call, model, texts):
            if answers:
                await again()
            answers.append(await self._ask(path, body, short=False))
        entries = [entry for answer in answers for entry in dicts(answer.get("embeddings"))]
        counted = sum(prompt_tokens(answer) for answer in answers)
        beside = beside_of(answers, "embeddings")
        return await off_loop(
            lambda: embedding_of(call, entries, counted, beside), when=len(texts) > VECTORS_AT_ONCE
        )

    async def models(self) -> tuple[Model, ...]:
        """Google's own list, asked once an hour; what is known to live while it cannot be had."""
        if not self.list_is_fresh:
            async with self._listing:
                if not self.list_is_fresh:
                    await self._list_models()
        return self.listed()

    @property
    def list_is_fresh(self) -> bool:
        return self._now() < self._ask_models_at

    def listed(self) -> tuple[Model, ...]:
        """Google's list as last heard; what is known to live there before the first."""
        return self._models or living_models(self.door)

    @property
    def credential(self) -> str:
        return self._fingerprint

    def account(self) -> Account:
        """A key is there; ``problem`` says whether Google took it."""
        refused = self._problem is not None and self._problem.code in KEY_CODES
        return Account(authenticated=not refused, tier="API key", problem=self._problem)

    async def check(self) -> Account:
        """List the models now: the cheapest question that needs the key."""
        async with self._listing:
            await self._list_models()
        return self.account()

    async def aclose(self) -> None:
        """Nothing of its own to close."""

    async def _list_models(self) -> None:
        try:
            entries = await self._all_models()
        except ProxyError as error:
            self._problem = problem_of(error)
            self._ask_models_at = self._now() + REFUSAL_REMEMBERED_S
            return
        self._models = tuple(model for entry in entries if (model := read_model(entry)))
        self._problem = None
        self._ask_models_at = self._now() + MODELS_FRESH_S

    async def _all_models(self) -> list[Json]:
        entries: list[Json] = []
        query = {"pageSize": "1000"}
        for _ in range(20):  # a list without an end must not be one for us
            page = await self._ask(f"/models?{urlencode(query)}", None, MODELS_WITHIN_S)
            entries += dicts(page.get("models"))
            if not page.get("nextPageToken"):
                break
            query["pageToken"] = str(page["nextPageToken"]).encode("utf-8", "replace").decode()
        return entries

    async def _ask(
        self, path: str, body: Json | None, within_s: float = UNARY_S, *, short: bool = True
    ) -> Json:
        request = self._request(path, body, within_s)
        with self._noted():
            answer = await ask(self._http, request, credential=self._credential, short=short)
        self._problem = None
        return answer

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Around a request: a refusal of the key or the account is kept for pages and tray."""
        try:
            yield
        except AccountError as error:
            self._problem = error.problem
            raise

    def _generating(self, out: Outgoing) -> Json:
        """The body of a generate request. New paid projects keep requests unless each says no
        (Gemini API changelog, 2026-10-26); the field belongs to ``generateContent`` alone."""
        kept = out.verbatim or self._stored
        return sendable(out) if kept else {"store": False, **sendable(out)}

    def _request(
        self, path: str, body: Mapping[str, object] | None, within_s: float
    ) -> httpx.Request:
        return build_request(
            "GET" if body is None else "POST",
            self._base + path,
            headers=self._headers,
            body=body,
            answer_within_s=within_s,
        )


def sendable(out: Outgoing) -> Json:
    """The request without nulls, which mean the same as absence."""
    return {k: v for k, v in out.request.items() if v is not None}


def read_model(entry: Json) -> Model | None:
    """One entry of ``models.list``; None for what neither generates nor embeds."""
    name = str(entry.get("name", "")).removeprefix("models/")
    listed = entry.get("supportedGenerationMethods")
    methods = tuple(str(method) for method in listed) if isinstance(listed, list) else ()
    generates, embeds = "generateContent" in methods, "embedContent" in methods
    if not name or not (generates or embeds):
        return None
    known: dict[str, object] = {"methods": methods}
    if not generates:
        known["kind"] = "embedding"
    for field, key, kind in (
        ("display_name", "displayName", str),
        ("description", "description", str),
        ("input_limit_tokens", "inputTokenLimit", int),
        ("output_limit_tokens", "outputTokenLimit", int),
    ):
        if isinstance(entry.get(key), kind) and entry[key]:
            known[field] = entry[key]
    return describe(name, **known)


def embed_bodies(call: EmbedCall, model: str, texts: Sequence[str]) -> list[Json]:
    """The ``batchEmbedContents`` bodies for ``texts``, in order."""
    options = {
        "taskType": call.task_type,
        "title": call.title,
        "outputDimensionality": call.dimensions,
    }
    shared = {"model": f"models/{model}", **{k: v for k, v in options.items() if v is not None}}
    asked = call.requests or [{**shared, "content": {"parts": [{"text": text}]}} for text in texts]
    requests: list[Json] = [{**request, "model": shared["model"]} for request in asked]
    starts = range(0, len(requests), MOST_PER_BATCH)
    return [{"requests": requests[start : start + MOST_PER_BATCH]} for start in starts]


def _build(parts: Parts) -> Upstream:
    settings = parts.settings
    return GeminiApi(
        parts.http,
        settings.google_gemini_base_url,
        settings.gemini_key or "",
        stored=settings.store_at_google,
    )


DOOR = base.Door(
    name="gemini-api",
    title="Gemini API key",
    configured=lambda parts: parts.settings.gemini_key is not None,
    missing="it needs GEMINI_API_KEY",
    build=_build,
    reads=("gemini_api_key", "gemini_api_key_for", "google_gemini_base_url", "store_at_google"),
    addresses=("youtube", "files"),
)
