"""Gemini Code Assist: Google sign-in, licensed accounts.

The Vertex-shaped ``generateContent`` in one envelope (code-assist dossier section 2). Sends no
telemetry, spends no credits, and says honestly who is asking.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar, cast

import httpx

from server.aside import off_loop
from server.auth.eligibility import (
    SIGN_IN_REQUIRED,
    AccountError,
    EligibilityError,
    Problem,
    problem_for,
    problem_of,
)
from server.auth.sign_in import Tokens
from server.errors import ProxyError
from server.gemini.catalogue import catalogue
from server.gemini.known import Door
from server.gemini.models import Model, describe, living_models
from server.gemini.types import (
    Chunk,
    Content,
    Count,
    EmbedCall,
    Embedding,
    GenerateRequest,
    Json,
)
from server.upstreams import base
from server.upstreams.base import Account, Outgoing, Parts, Turn, Upstream, at_once
from server.upstreams.code_assist_account import Setup, set_up
from server.upstreams.learned_models import fingerprint
from server.upstreams.mock_vectors import mock_embedding
from server.upstreams.refusals import dicts
from server.upstreams.wire import (
    FIRST_BYTE_S,
    UNARY_S,
    ask,
    build_request,
    count_of,
    open_stream,
    read_chunks,
    whole_answer,
    with_token,
)

VERSION = "v1internal"
REFUSAL_REMEMBERED_S = 30.0
"""An account that Google refuses is not asked about again for each request."""
MODELS_FRESH_S = 300.0
QUOTA_WITHIN_S = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left of one model's daily requests, as ``retrieveUserQuota`` says."""

    model: str
    """The id that clients use."""
    remaining_fraction: float | None
    remaining: int | None = None
    """Requests; Google leaves it out while the bucket is full."""
    reset_at: float | None = None
    """Unix seconds."""
    spelling: str = ""
    """The bucket's own id, where it is another: what this account's requests name."""


class CodeAssist:
    """The ``code-assist`` upstream. ``http`` belongs to whoever passes it."""

    name = "code-assist"
    door: Door = "code-assist"
    embeds = False

    def __init__(
        self,
        http: httpx.AsyncClient,
        endpoint: str,
        tokens: Tokens,
        project: str | None,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._base = f"{endpoint.rstrip('/').removesuffix(f'/{VERSION}')}/{VERSION}"
        self._tokens = tokens
        self._project = project
        self._now, self._sleep = now, sleep
        self._loading = asyncio.Lock()
        self._setup: tuple[str, Setup] | None = None
        self._refused: tuple[str, float] = ("", 0.0)
        self._problem: Problem | None = None
        self._asking_quota = asyncio.Lock()
        self._quota: tuple[Quota, ...] = ()
        self._quota_asked: tuple[str, float] = ("", 0.0)

    # ── Upstream ──

    async def generate(self, out: Outgoing) -> AsyncGenerator[list[Chunk], None]:
        """Stream the answer, or yield it as one chunk; a 401 costs one refresh, a bare 403 one
        look at the account.
        """
        if out.unary:
            yield [await self._in_project(partial(self._whole, out), out.again)]
            return
        response = await self._in_project(partial(self._open, out), out.again)
        async with aclosing(read_chunks(response, _unwrap)) as batches:
            async for batch in batches:
                yield batch

    async def count_tokens(self, out: Outgoing) -> Count:
        """``countTokens`` takes contents only, so everything else is folded into them."""
        request = {"model": f"models/{self._spelt(out.model)}", "contents": countable(out.request)}
        answer = await self._ask(":countTokens", {"request": request})
        return count_of(answer)

    async def embed(self, call: EmbedCall, model: str, again: Turn = at_once) -> Embedding:
        """Mock vectors: Code Assist has no embeddings."""
        return await mock_embedding(call, call.model)

    async def models(self) -> tuple[Model, ...]:
        """What the account has quota buckets for; what is known to live where Google shows none."""
        if self._tokens.signed_in:
            await self.refresh_quota(MODELS_FRESH_S)
        return self.listed()

    @property
    def list_is_fresh(self) -> bool:
        identity, asked_at = self._quota_asked
        known = identity == self._tokens.identity and self._now() - asked_at < MODELS_FRESH_S
        return known or not self._tokens.signed_in

    def listed(self) -> tuple[Model, ...]:
        """By the buckets as last heard, where they are this account's."""
        mine = self._quota_asked[0] == self._tokens.identity
        return available_models(self._quota if mine else ())

    @property
    def credential(self) -> str:
        return fingerprint(self.name, self._base, self._project, self._tokens.identity)

    def account(self) -> Account:
        """The last known state."""
        if not self._tokens.signed_in:
            problem = self._tokens.problem or problem_for(SIGN_IN_REQUIRED)
            return Account(authenticated=False, problem=problem)
        setup = self._known_setup()
        return Account(
            authenticated=True,
            email=self._tokens.email,
            tier=setup.tier if setup else None,
            project=setup.project if setup else self._project,
            problem=self._tokens.problem or self._problem,
        )

    async def check(self) -> Account:
        """Load the account anew; also learns its address and quota."""
        self._refused = ("", 0.0)
        try:
            await self._ready(instead_of=self._known_setup())
        except EligibilityError:
            pass  # noted where it arose
        except ProxyError as error:
            self._problem = problem_of(error)
        else:
            await asyncio.gather(self._tokens.learn_email(), self.refresh_quota(0.0))
        return self.account()

    async def aclose(self) -> None:
        """Nothing of its own to close."""

    # ── quota ──

    def quota(self) -> tuple[Quota, ...]:
        """What Google last said is left, for the pages; empty when it said nothing."""
        return self._quota

    async def refresh_quota(self, older_than_s: float = 30.0) -> tuple[Quota, ...]:
        """Ask again unless the last answer is fresh. Fails only by not knowing."""
        async with self._asking_quota:
            identity, asked_at = self._quota_asked
            another = identity != self._tokens.identity
            if another or self._now() - asked_at >= older_than_s:
                self._quota = () if another else self._quota
                with contextlib.suppress(ProxyError):
                    setup = await self._ready()
                    self._quota = await self._ask_quota(setup.project)
                self._quota_asked = (self._tokens.identity, self._now())
        return self._quota

    async def _ask_quota(self, project: str | None) -> tuple[Quota, ...]:
        """A refusal with a reason (no licence, suspended, API disabled) is the first word of it:
        loading the account says nothing of these. A bare one only means that no quota is told."""
        try:
            answer = await self._ask(
                ":retrieveUserQuota", {"project": project}, within_s=QUOTA_WITHIN_S
            )
        except EligibilityError as error:
            if error.code != "PERMISSION_DENIED":
                self._problem = error.problem
            raise
        return read_quota(answer)

    # ── the account ──

    def _known_setup(self) -> Setup | None:
        if self._setup is None or self._setup[0] != self._tokens.identity:
            return None
        return self._setup[1]

    async def _ready(self, *, instead_of: Setup | None = None) -> Setup:
        """The account's project; loaded once per sign-in, and anew when ``instead_of`` is stale."""
        await self._tokens.access_token()
        known = self._known_setup()
        if known is not None and known is not instead_of:
            return known
        async with self._loading:
            identity, known = self._tokens.identity, self._known_setup()
            if known is not None and known is not instead_of:
                return known  # loaded while we waited
            if self._problem and self._refused[0] == identity and self._now() < self._refused[1]:
                raise EligibilityError(self._problem)
            self._setup = None
            try:
                setup = await self._noted(set_up(self._ask, self._project, self._sleep))
            except EligibilityError:
                self._refused = (identity, self._now() + REFUSAL_REMEMBERED_S)
                raise
            self._setup = (identity, setup)
            return setup

    async def _noted(self, asked: Awaitable[T]) -> T:
        """``asked``, with the account's problem kept in step with how it ends."""
        try:
            answer = await asked
        except AccountError as error:
            self._problem = error.problem
            raise
        self._problem = None
        return answer

    async def _in_project(self, send: Callable[[str, str], Awaitable[T]], again: Turn) -> T:
        """``send(project, token)``; once more with a freshly loaded project after a bare 403."""
        setup = await self._ready()
        try:
            return await self._noted(with_token(self._tokens, partial(send, setup.project), again))
        except EligibilityError as error:
            if error.code != "PERMISSION_DENIED":
                raise
        setup = await self._ready(instead_of=setup)
        await again()
        return await self._noted(with_token(self._tokens, partial(send, setup.project), again))

    # ── the wire ──

    async def _ask(self, path: str, body: Json | None, *, within_s: float = UNARY_S) -> Json:
        async def send(token: str) -> Json:
            return await ask(self._http, self._request(path, body, token, within_s))

        return await with_token(self._tokens, send)

    async def _open(self, out: Outgoing, project: str, token: str) -> httpx.Response:
        return await open_stream(self._http, await self._generating(out, project, token))

    async def _whole(self, out: Outgoing, project: str, token: str) -> Chunk:
        request = await self._generating(out, project, token)
        return await whole_answer(self._http, request, _unwrap)

    def _spelt(self, model_id: str) -> str:
        """The id that the account's own buckets have for a model."""
        spellings = [b.spelling for b in self._quota if b.model == model_id]
        return spellings[0] if spellings and all(spellings) else model_id

    async def _generating(self, out: Outgoing, project: str, token: str) -> httpx.Request:
        request = {k: v for k, v in out.request.items() if v is not None}
        body: Json = {
            "model": self._spelt(out.model),
            "project": project,
            "user_prompt_id": out.prompt_id,
            "request": {**request, "session_id": out.session},
        }
        return await off_loop(
            lambda: self._request(f":{out.method}", body, token, FIRST_BYTE_S), when=out.large
        )

    def _request(self, path: str, body: Json | None, token: str, within_s: float) -> httpx.Request:
        return build_request(
            "GET" if body is None else "POST",
            self._base + path,
            headers={"authorization": f"Bearer {token}"},
            body=body,
            answer_within_s=within_s,
        )


def _unwrap(payload: Json) -> Chunk | None:
    """The chunk in its envelope. An event may be without one (credits only): that is no error."""
    response = payload.get("response")
    return cast(Chunk, response) if isinstance(response, dict) else None


def countable(request: GenerateRequest) -> list[Content]:
    """``contents`` with system instruction and tools put before the first user text."""
    system = request.get("systemInstruction") or {}
    texts = [str(part["text"]) for part in dicts(system.get("parts")) if part.get("text")]
    if request.get("tools"):
        texts.append(json.dumps(request["tools"], ensure_ascii=False, separators=(",", ":")))
    contents = list(request.get("contents") or [])
    if not texts:
        return contents
    extra: Json = {"text": "\n".join(texts)}
    if not contents or contents[0].get("role") != "user":
        return [{"role": "user", "parts": [extra]}, *contents]
    first: Content = {"role": "user", "parts": [extra, *dicts(contents[0].get("parts"))]}
    return [first, *contents[1:]]


def read_quota(answer: Json) -> tuple[Quota, ...]:
    """The buckets that are of use: whole models, not their variants on other back ends."""
    quota = []
    for bucket in dicts(answer.get("buckets")):
        model, fraction = bucket.get("modelId"), bucket.get("remainingFraction")
        if not isinstance(model, str) or not model or "_" in model:
            continue
        amount = str(bucket.get("remainingAmount", ""))
        usual = catalogue().usual_spelling(model, "code-assist")
        quota.append(
            Quota(
                model=usual,
                spelling="" if usual == model else model,
                remaining_fraction=float(fraction) if isinstance(fraction, int | float) else None,
                remaining=int(amount) if amount.isdecimal() and len(amount) < 16 else None,
                reset_at=_instant(bucket.get("resetTime")),
            )
        )
    return tuple(quota)


def _instant(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def available_models(quota: tuple[Quota, ...]) -> tuple[Model, ...]:
    """The models of the account's own buckets, others being refused; without any bucket, what is
    known to live there.
    """
    ids = dict.fromkeys(bucket.model for bucket in quota)
    return tuple(describe(model_id) for model_id in ids) or living_models("code-assist")


def _build(parts: Parts) -> Upstream:
    settings = parts.settings
    project = settings.google_cloud_project
    return CodeAssist(parts.http, settings.code_assist_endpoint, parts.tokens, project)


DOOR = base.Door(
    name="code-assist",
    title="Google sign-in (Code Assist)",
    configured=lambda parts: parts.tokens.signed_in,
    missing="nobody is signed in to Google",
    build=_build,
    reads=("google_cloud_project", "code_assist_endpoint"),
)
