"""The Gemini Developer API: an API key, and real embeddings.

The road Google offers to every third-party tool. The key travels in a header only, never in an
address (addresses land in logs). Facts: code-assist dossier section 10; Gemini API reference.
"""

import asyncio
import math
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import cast
from urllib.parse import quote, urlencode

import httpx

from server.eligibility import EligibilityError, Problem, problem_for
from server.errors import AuthenticationError, BadRequestError, ProxyError, UpstreamError
from server.gemini.types import Chunk, EmbedCall, Embedding, Json
from server.models import CATALOGUE, Model, describe, version_of
from server.upstreams.base import Account, Door, Outgoing, Parts, Upstream
from server.upstreams.refusals import dicts
from server.upstreams.wire import FIRST_BYTE_S, UNARY_S, ask, build_request, stream_chunks

MODELS_FRESH_S = 3600.0
MODELS_WITHIN_S = 10.0
REFUSAL_REMEMBERED_S = 30.0
MOST_PER_BATCH = 100
"""``batchEmbedContents`` takes no more requests than this at once."""
DEFAULT_EMBEDDING = "gemini-embedding-001"
_OPENAI_EMBEDDING = re.compile(r"text-embedding-(3-|ada-)")


class GeminiApi:
    """The ``gemini-api`` upstream. ``http`` belongs to whoever passes it."""

    embeds = True

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        key: str,
        *,
        name: str = "gemini-api",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._http = http
        self._base = versioned(base_url)
        self._headers = {"x-goog-api-key": key}
        self._now = now
        self._listing = asyncio.Lock()
        self._models: tuple[Model, ...] = ()
        self._ask_models_at = 0.0
        self._problem: Problem | None = None

    async def generate(self, out: Outgoing) -> AsyncGenerator[list[Chunk], None]:
        """Stream the answer."""
        request = self._request(
            f"/models/{quote(out.model, safe='')}:streamGenerateContent?alt=sse",
            body=sendable(out),
            within_s=FIRST_BYTE_S,
        )
        chunks = stream_chunks(self._http, request, _as_chunk, credential="key")
        async with aclosing(chunks) as batches:
            async for batch in batches:
                yield batch

    async def count_tokens(self, out: Outgoing) -> int:
        """Counts system instruction and tools as well."""
        wrapped = {"model": f"models/{out.model}", **sendable(out)}
        answer = await self._ask(
            f"/models/{quote(out.model, safe='')}:countTokens", {"generateContentRequest": wrapped}
        )
        total = answer.get("totalTokens")
        if not isinstance(total, int):
            raise UpstreamError("Google's token count has no number in it.")
        return total

    async def embed(self, call: EmbedCall, model: str) -> Embedding:
        """Real vectors of length 1; OpenAI's own model names lead to Google's embedding model."""
        texts = [item for item in call.inputs if isinstance(item, str)]
        if len(texts) != len(call.inputs):
            raise BadRequestError(
                "Token ids cannot be embedded by Gemini: send text. In LangChain's "
                "OpenAIEmbeddings set check_embedding_ctx_length=False.",
                param="input",
            )
        model = embedding_model(model, await self.models())
        answers = [
            await self._ask(f"/models/{quote(model, safe='')}:batchEmbedContents", body)
            for body in embed_bodies(call, model, texts)
        ]
        vectors = tuple(_vector(e) for a in answers for e in dicts(a.get("embeddings")))
        if len(vectors) != len(texts):
            raise UpstreamError(f"Google made {len(vectors)} vectors of {len(texts)} texts.")
        counted = sum(_prompt_tokens(answer) for answer in answers)
        estimate = sum(-(-len(text) // 4) for text in texts)
        return Embedding(vectors, counted or estimate, estimated=not counted)

    async def models(self) -> tuple[Model, ...]:
        """Google's own list, asked once an hour; the catalogue we ship while it cannot be had."""
        if self._now() >= self._ask_models_at:
            async with self._listing:
                if self._now() >= self._ask_models_at:
                    await self._list_models()
        return self._models or CATALOGUE

    def account(self) -> Account:
        """A key is there; ``problem`` says whether Google took it."""
        refused = self._problem is not None and self._problem.code == "API_KEY_INVALID"
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
            self._problem = _problem_of(error)
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
            query["pageToken"] = str(page["nextPageToken"])
        return entries

    async def _ask(self, path: str, body: Json | None, within_s: float = UNARY_S) -> Json:
        return await ask(self._http, self._request(path, body, within_s), credential="key")

    def _request(
        self, path: str, body: Mapping[str, object] | None, within_s: float
    ) -> httpx.Request:
        return build_request(
            self._http,
            "GET" if body is None else "POST",
            self._base + path,
            headers=self._headers,
            body=body,
            answer_within_s=within_s,
        )


def versioned(base_url: str) -> str:
    """``base_url`` with an API version at its end; ``/v1beta`` where it has none."""
    base = base_url.rstrip("/")
    return base if re.search(r"/v\d\w*$", base) else f"{base}/v1beta"


def sendable(out: Outgoing) -> Json:
    """The request without what this API has no field for."""
    return {k: v for k, v in out.request.items() if k != "labels" and v is not None}


def _as_chunk(payload: Json) -> Chunk:
    return cast(Chunk, payload)


def read_model(entry: Json) -> Model | None:
    """One entry of ``models.list``; None for what neither generates nor embeds."""
    name = str(entry.get("name", "")).removeprefix("models/")
    listed = entry.get("supportedGenerationMethods")
    methods = tuple(str(method) for method in listed) if isinstance(listed, list) else ()
    generates, embeds = "generateContent" in methods, "embedContent" in methods
    if not name or not (generates or embeds):
        return None
    known: dict[str, object] = {"methods": methods, "embeds": embeds and not generates}
    for field, key, kind in (
        ("display_name", "displayName", str),
        ("description", "description", str),
        ("input_limit_tokens", "inputTokenLimit", int),
        ("output_limit_tokens", "outputTokenLimit", int),
    ):
        if isinstance(entry.get(key), kind) and entry[key]:
            known[field] = entry[key]
    return describe(name, **known)


def embedding_model(asked: str, available: Sequence[Model]) -> str:
    """The Gemini id to embed with: OpenAI's names mean "your embedding model"."""
    if not _OPENAI_EMBEDDING.match(asked):
        return asked
    ids = [model.id for model in available if model.embeds]
    if DEFAULT_EMBEDDING in ids:
        return DEFAULT_EMBEDDING
    return max(ids, key=version_of, default=DEFAULT_EMBEDDING)


def embed_bodies(call: EmbedCall, model: str, texts: Sequence[str]) -> list[Json]:
    """The ``batchEmbedContents`` bodies for ``texts``, in order."""
    options = {
        "taskType": call.task_type,
        "title": call.title,
        "outputDimensionality": call.dimensions,
    }
    shared = {"model": f"models/{model}", **{k: v for k, v in options.items() if v is not None}}
    requests: list[Json] = [{**shared, "content": {"parts": [{"text": text}]}} for text in texts]
    starts = range(0, len(requests), MOST_PER_BATCH)
    return [{"requests": requests[start : start + MOST_PER_BATCH]} for start in starts]


def _vector(embedding: Json) -> tuple[float, ...]:
    """Its values, brought to length 1: Google leaves shortened vectors as they are, and OpenAI's
    clients take the dot product for the cosine.
    """
    values = tuple(float(v) for v in embedding.get("values") or ())
    length = math.hypot(*values)
    if not length or abs(length - 1) < 1e-3:
        return values
    return tuple(value / length for value in values)


def _prompt_tokens(answer: Json) -> int:
    usage = answer.get("usageMetadata")
    count = usage.get("promptTokenCount") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0


def _problem_of(error: ProxyError) -> Problem:
    match error:
        case EligibilityError():
            return error.problem
        case AuthenticationError():
            return problem_for("API_KEY_INVALID")
        case _:
            remedy = "Then check again."
            return Problem(code=error.code or error.kind, message=error.message, remedy=remedy)


def _build(parts: Parts) -> Upstream:
    settings = parts.settings
    return GeminiApi(parts.http, settings.google_gemini_base_url, settings.gemini_api_key or "")


DOOR = Door(
    name="gemini-api",
    title="Gemini API key",
    configured=lambda parts: parts.settings.gemini_api_key is not None,
    missing="it needs GEMINI_API_KEY",
    build=_build,
)
