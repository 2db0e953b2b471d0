"""Vertex AI: a Google Cloud project, Application Default Credentials, and real embeddings.

The same ``generateContent`` as the Gemini API under a longer address. Facts: code-assist dossier
sections 8 and 10; google-genai 3.4 ``_api_client`` and ``models`` (hosts, embedding methods).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import date
from functools import lru_cache, partial
from typing import TypeVar
from urllib.parse import quote

import httpx

from server.aside import off_loop
from server.auth.adc import Adc
from server.auth.eligibility import (
    VERTEX_SERVICE,
    AccountError,
    EligibilityError,
    Problem,
    problem_for,
    problem_of,
)
from server.errors import AuthenticationError, BadRequestError, NotFoundError, ProxyError
from server.gemini.catalogue import Catalogue, catalogue, today
from server.gemini.known import Door
from server.gemini.models import Model, living_models
from server.gemini.types import Chunk, Count, EmbedCall, Embedding, GenerateRequest, Json
from server.limits import VECTORS_AT_ONCE
from server.upstreams import base
from server.upstreams.base import Account, Outgoing, Parts, Turn, Upstream, at_once
from server.upstreams.embedding import beside_of, embedding_model, embedding_of, texts_of
from server.upstreams.learned_models import fingerprint
from server.upstreams.refusals import dicts
from server.upstreams.wire import (
    FIRST_BYTE_S,
    UNARY_S,
    as_chunk,
    ask,
    build_request,
    count_of,
    open_stream,
    prompt_tokens,
    read_chunks,
    versioned,
    whole_answer,
    with_token,
)

VERSION = "v1"
PROBE: GenerateRequest = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
EMBEDS_AT_ONCE = 8
MOST_CHARACTERS = 20_000
"""In one ``predict``: its limit is as many tokens, and no token is shorter than a character."""

T = TypeVar("T")
Build = Callable[[str], httpx.Request]
"""Makes a request with this token."""


class Vertex:
    """The ``vertex`` upstream. ``http`` belongs to whoever passes it."""

    name = "vertex"
    door: Door = "vertex"
    embeds = True

    def __init__(
        self,
        http: httpx.AsyncClient,
        adc: Adc,
        project: str | None,
        location: str,
        base_url: str | None = None,
    ) -> None:
        self._http = http
        self._adc = adc
        self._set_project = project
        self._location = location
        self._base = versioned(base_url or endpoint(location), VERSION)
        self._problem: Problem | None = None

    # ── Upstream ──

    async def generate(self, out: Outgoing) -> AsyncGenerator[list[Chunk], None]:
        """Stream the answer, or yield it as one chunk."""
        build = partial(
            self._request,
            self._url(out.model, out.method),
            {k: v for k, v in out.request.items() if v is not None},
            FIRST_BYTE_S,
        )
        if out.unary:
            yield [await self._with_token(partial(self._whole, build, out.large), out.again)]
            return
        response = await self._with_token(partial(self._open, build, out.large), out.again)
        async with aclosing(read_chunks(response, as_chunk, credential="adc")) as batches:
            async for batch in batches:
                yield batch

    async def count_tokens(self, out: Outgoing) -> Count:
        """Counts system instruction and tools as well."""
        request = out.request
        body: Json = {"contents": request.get("contents")}
        for name in ("systemInstruction", "tools", "generationConfig"):
            if request.get(name):
                body[name] = request.get(name)
        return count_of(await self._ask(out.model, "countTokens", body))

    async def embed(self, call: EmbedCall, model: str, again: Turn = at_once) -> Embedding:
        """Real vectors of length 1; OpenAI's own model names lead to Google's embedding model."""
        texts = texts_of(call)
        model = embedding_model(model, await self.models())
        most = catalogue().model(model).predict
        if not most:
            bodies = content_bodies(call, texts)
            answers = await self._ask_all(model, "embedContent", bodies, again)
            entries = [_object(answer, "embedding") for answer in answers]
            counted = sum(map(prompt_tokens, answers))
            return embedding_of(call, entries, counted, beside_of(answers, "embedding"))
        _only_text(call, model)
        bodies = instance_bodies(call, texts, most)
        answers = await self._ask_all(model, "predict", bodies, again)
        found = [_object(p, "embeddings") for a in answers for p in dicts(a.get("predictions"))]
        counts = [_object(entry, "statistics").get("token_count") for entry in found]
        counted = sum(count for count in counts if isinstance(count, int))
        entries = [{"values": entry.get("values")} for entry in found]
        return await off_loop(
            lambda: embedding_of(call, entries, counted), when=len(texts) > VECTORS_AT_ONCE
        )

    list_is_fresh = True

    @property
    def credential(self) -> str:
        return fingerprint(self.name, self._base, self._project, self._location, self._adc.identity)

    async def models(self) -> tuple[Model, ...]:
        """The same: Google has no list to ask for."""
        return self.listed()

    def listed(self) -> tuple[Model, ...]:
        """What is known to live at this location: Google lists Vertex AI's models without saying
        which of them a location serves."""
        return _there(catalogue(), today(), self._location)

    def account(self) -> Account:
        """The last known state."""
        problem = self._adc.problem or self._problem
        if self._project is None:
            problem = problem_for("PROJECT_REQUIRED", service=VERTEX_SERVICE)
        refused = problem is not None and problem.code.startswith("ADC_")
        return Account(
            authenticated=self._adc.known and not refused,
            email=self._adc.email,
            tier=f"Vertex AI in {self._location}",
            project=self._project,
            problem=problem,
        )

    async def check(self) -> Account:
        """Count the tokens of one word: free, and refused to whoever may not generate.

        Asks the models that ``auto`` would take until one is there. That none is, is the problem.
        """
        listed = [model.id for model in await self.models()]
        for model in catalogue().candidates("fast", self.door, today(), listed):
            probe = Outgoing(model=model, request=PROBE, session="", prompt_id="")
            try:
                await self.count_tokens(probe)
            except NotFoundError as error:
                self._problem = problem_of(error)
            except ProxyError as error:
                self._problem = problem_of(error)
                break
            else:
                break
        return self.account()

    async def aclose(self) -> None:
        """Nothing of its own to close."""

    # ── the wire ──

    @property
    def _project(self) -> str | None:
        return self._set_project or self._adc.project

    def _url(self, model: str, method: str) -> str:
        """Raises ``EligibilityError`` when no project is known."""
        if self._project is None:
            raise EligibilityError(problem_for("PROJECT_REQUIRED", service=VERTEX_SERVICE))
        parts = (quote(part, safe="") for part in (self._project, self._location, model))
        path = "/projects/{}/locations/{}/publishers/google/models/{}".format(*parts)
        return f"{self._base}{path}:{method}"

    async def _with_token(self, send: Callable[[str], Awaitable[T]], again: Turn = at_once) -> T:
        """``send(token)``, with the account's problem kept in step with how it ends."""
        try:
            answer = await with_token(self._adc, send, again)
        except (AccountError, AuthenticationError) as error:
            self._problem = problem_of(error)
            raise
        self._problem = None
        return answer

    async def _ask(
        self, model: str, method: str, body: Json, again: Turn = at_once, *, short: bool = True
    ) -> Json:
        build = partial(self._request, self._url(model, method), body, UNARY_S)

        async def send(token: str) -> Json:
            return await ask(self._http, build(token), credential="adc", short=short)

        return await self._with_token(send, again)

    async def _ask_all(
        self, model: str, method: str, bodies: Sequence[Json], again: Turn
    ) -> list[Json]:
        """The answers in order, a few questions at a time; the first failure ends all."""
        room = asyncio.Semaphore(EMBEDS_AT_ONCE)

        async def one(number: int, body: Json) -> Json:
            async with room:
                if number:
                    await again()
                return await self._ask(model, method, body, again, short=False)

        asking = [asyncio.create_task(one(n, body)) for n, body in enumerate(bodies)]
        try:
            return await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()

    async def _open(self, build: Build, large: bool, token: str) -> httpx.Response:
        request = await off_loop(lambda: build(token), when=large)
        return await open_stream(self._http, request, credential="adc")

    async def _whole(self, build: Build, large: bool, token: str) -> Chunk:
        request = await off_loop(lambda: build(token), when=large)
        return await whole_answer(self._http, request, as_chunk, credential="adc")

    def _request(self, url: str, body: Json, within_s: float, token: str) -> httpx.Request:
        return build_request(
            "POST",
            url,
            headers={"authorization": f"Bearer {token}"},
            body=body,
            answer_within_s=within_s,
        )


def endpoint(location: str) -> str:
    """The host that serves a location; ``us`` and ``eu`` are whole jurisdictions."""
    match location:
        case "global":
            return f"https://{VERTEX_SERVICE}"
        case "us" | "eu":
            return f"https://aiplatform.{location}.rep.googleapis.com"
        case _:
            return f"https://{location}-{VERTEX_SERVICE}"


def content_bodies(call: EmbedCall, texts: Sequence[str]) -> list[Json]:
    """The ``embedContent`` bodies: it takes one content, of a client's own whatever is in it."""
    if call.requests:
        return [_own_body(request) for request in call.requests]
    options = _given(
        taskType=call.task_type, title=call.title, outputDimensionality=call.dimensions
    )
    return [{"content": {"role": "user", "parts": [{"text": text}]}, **options} for text in texts]


def _own_body(request: Json) -> Json:
    """A client's own ``EmbedContentRequest``; the address names the model."""
    named = {"role": "user", **_object(request, "content")}
    return {**{k: v for k, v in request.items() if k != "model"}, "content": named}


def _only_text(call: EmbedCall, model: str) -> None:
    """Raises ``BadRequestError`` for pictures and the like, which ``predict`` cannot take."""
    for index, request in enumerate(call.requests):
        for part in dicts(_object(request, "content").get("parts")):
            if "text" not in part:
                path = "content.parts" if len(call.requests) == 1 else f"requests[{index}].content"
                raise BadRequestError(f"{path}: {model} embeds text only on vertex", param=path)


def instance_bodies(call: EmbedCall, texts: Sequence[str], most: int) -> list[Json]:
    """The ``predict`` bodies, ``most`` texts in each and no more characters than it can take."""
    options = _given(task_type=call.task_type, title=call.title)
    shared = _given(outputDimensionality=call.dimensions)
    bodies: list[Json] = []
    room = 0
    for text in texts:
        room -= len(text)
        if not bodies or room < 0 or len(bodies[-1]["instances"]) == most:
            room = MOST_CHARACTERS - len(text)
            bodies.append({"instances": [], **({"parameters": shared} if shared else {})})
        bodies[-1]["instances"].append({"content": text, **options})
    return bodies


def _object(holder: Json, name: str) -> Json:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _given(**options: object) -> Json:
    return {name: value for name, value in options.items() if value is not None}


def _configured(parts: Parts) -> bool:
    """Chosen by name, everything may come from the metadata server; ``auto`` asks no network."""
    if not parts.settings.vertex_may_have_tokens:
        return False
    if parts.settings.upstream == Vertex.name:
        return True
    project = parts.settings.google_cloud_project
    return parts.adc.present and (project or parts.adc.project) is not None


@lru_cache(maxsize=8)
def _there(known: Catalogue, on: date, location: str) -> tuple[Model, ...]:
    return tuple(
        model
        for model in living_models("vertex", on)
        if location in (known.model(model.id).locations or (location,))
    )


def _build(parts: Parts) -> Upstream:
    settings = parts.settings
    return Vertex(
        parts.http,
        parts.adc,
        settings.google_cloud_project,
        settings.google_cloud_location,
        settings.google_vertex_base_url,
    )


DOOR = base.Door(
    name=Vertex.name,
    title="Vertex AI (Google Cloud)",
    configured=_configured,
    missing="it needs Application Default Credentials and GOOGLE_CLOUD_PROJECT; an address outside "
    "Google has to come from the environment or command line",
    build=_build,
    reads=("google_cloud_project", "google_cloud_location", "google_vertex_base_url"),
    addresses=("youtube", "gs"),
)
