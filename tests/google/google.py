"""FakeGoogle: one request in, one response out, and a record of both."""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from server.demo import server_tools
from server.demo.catalogue import FULL_OUTPUT, UNARY_OUTPUT
from server.demo.errors import JSON_TYPE, GoogleError, Json
from server.demo.stream import Sleep, fold
from server.demo.tokens import PrefixCache, count_request
from tests.google import account as accounts
from tests.google import catalogue, code_assist, gemini_api, model, oauth, vertex, wire
from tests.google.catalogue import FakeModel
from tests.google.chunks import chunks as chunks_of
from tests.google.continuation import Continuations, Rest
from tests.google.failures import Failure, html_page, rate_limited
from tests.google.http import (
    ConnectionCutError,
    FakeRequest,
    FakeResponse,
    parse_json,
    refused,
    respond,
)
from tests.google.keys import NEW_FREE, Key, unknown
from tests.google.messages import Door
from tests.google.model import Answer, Asked, Script
from tests.google.oauth import OAuth
from tests.google.table import CATALOGUE
from tests.google.wire import Framing, Generation, Item

API_KEY = "fake-api-key"
GENERATE = frozenset({"generateContent", "streamGenerateContent"})

_CODE_ASSIST = re.compile(r"/v\d\w*(?::(\w+)|/(operations/[\w-]+))")
_GEMINI_API = re.compile(r"/v1(?:beta)?/(models(?:/[^/]+)?)")
_VERTEX = re.compile(
    r"/v1(?:beta1)?/projects/([^/]+)/locations/([^/]+)/publishers/google/models/([^/:]+):(\w+)"
)


@dataclass(slots=True, kw_only=True)
class Recorded:
    """One request as it was received, and how it ended."""

    method: str
    """The HTTP method."""
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    json: Json
    """The body, when it was a JSON object; otherwise empty."""
    call: str
    """What was asked for: ``generateContent``, ``loadCodeAssist``, ``models``, ``token``, ..."""
    at: float
    """When, by the fake's clock."""
    status: int | None = None
    finished: bool = False
    """The body was sent to its end."""
    cancelled: bool = False
    """The client left before that."""
    stored: bool = False
    """A generate request that Google keeps: ``store`` says so, or the key's project does."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when either has happened."""

    def end(self, *, finished: bool) -> None:
        """Note how it ended; the first word counts."""
        if not self.ended.is_set():
            self.finished, self.cancelled = finished, not finished
            self.ended.set()

    @property
    def model(self) -> str | None:
        """The model asked for, whichever door it came through."""
        found = re.search(r"/models/([^/:]+)", self.path)
        inner = self.json.get("request", {})
        return found[1] if found else self.json.get("model") or inner.get("model")


@dataclass(slots=True)
class _Plan:
    failure: Failure
    methods: frozenset[str]
    model: str | None
    times: int | None

    def suits(self, entry: Recorded) -> bool:
        named = self.model is None or self.model == entry.model
        return self.times != 0 and named and (entry.call in self.methods or "*" in self.methods)


@dataclass(kw_only=True)
class FakeGoogle:
    """The scripted Google; every field may be changed between requests."""

    now: Callable[[], float] = time.time
    today: str | None = None
    """The ISO date of the calendar; None: the date of ``now``."""
    sleep: Sleep = asyncio.sleep
    chunk_delay_s: float = 0
    flavour: str = ""
    """Begins every text answer of the scripted model."""
    answering: Callable[[Asked], Answer] = model.answer
    """Answers where nothing is prepared."""
    api_keys: set[str] = field(default_factory=lambda: {API_KEY})
    """Keys of the Gemini API whose past is ``history``."""
    history: Key = NEW_FREE
    keys: dict[str, Key] = field(default_factory=dict)
    """Keys with a past of their own; they need not stand in ``api_keys``."""
    catalogue: tuple[FakeModel, ...] = CATALOGUE
    account: accounts.Account = field(default_factory=accounts.onboarded)
    vertex_projects: set[str] = field(default_factory=lambda: {accounts.PROJECT})
    """Projects in which Vertex AI may be used."""
    old_vertex_projects: set[str] = field(default_factory=set)
    """Those of them that used the 2.5 family before that was closed to new and idle ones."""
    framing: Framing = field(default_factory=Framing)
    quota: dict[str, float] = field(default_factory=dict)
    """Model id -> remaining fraction of its bucket; absent: full."""
    limit: tuple[int, float] | None = None
    """So many generate requests in so many seconds; the next one is refused with ``RetryInfo``."""
    hop_tokens: int = FULL_OUTPUT
    """What one streamed request of a 4.x model returns at most; small, answers come in hops."""
    revision: str = ""
    """Follows the model's id in ``modelVersion`` on Vertex AI, such as ``@001``."""
    served_tier: str | None = None
    """The service tier that is served whatever was asked for; None: that one."""
    answers: deque[Script] = field(default_factory=deque)
    """Answers for the next generate requests; empty: ``answering`` does."""
    requests: list[Recorded] = field(default_factory=list)
    oauth: OAuth = field(init=False)

    def __post_init__(self) -> None:
        self.oauth = OAuth(lambda: self.now())  # noqa: PLW0108  (``now`` may be replaced)
        self._plans: list[_Plan] = []
        self._cache = PrefixCache()
        self._hops = Continuations()
        self._serial = 0
        self._taken: deque[float] = deque()

    def fail(
        self,
        *failures: Failure,
        times: int | None = 1,
        model: str | None = None,
        methods: frozenset[str] | set[str] = GENERATE,
    ) -> None:
        """Let the next requests fail, each failure ``times`` times (None: always), in order.

        ``methods`` are values of ``Recorded.call``; ``"*"`` is every request.
        """
        for failure in failures:
            self._plans.append(_Plan(failure, frozenset(methods), model, times))

    def calls(self, call: str) -> list[Recorded]:
        """The recorded requests for one thing."""
        return [entry for entry in self.requests if entry.call == call]

    async def handle(self, request: FakeRequest) -> FakeResponse:
        """Answer one request; never raises for what the client did."""
        entry = self._record(request)
        self.requests.append(entry)
        try:
            response = await self._answer(request, entry)
        except GoogleError as error:
            response = refused(error)
        except asyncio.CancelledError:
            entry.end(finished=False)
            raise
        entry.status = response.status
        entry.stored = response.status == 200 and self._is_stored(entry)
        response.body = _Watched(response.body, entry)
        return response

    # -- what the doors use ---------------------------------------------------------------------

    def day(self) -> str:
        """The ISO date that drives ends and re-routes."""
        if self.today is not None:
            return self.today
        return datetime.fromtimestamp(self.now(), UTC).date().isoformat()

    def key(self, given: str) -> Key:
        """The history of a key of the Gemini API."""
        if given in self.keys:
            return self.keys[given]
        return self.history if given in self.api_keys else unknown(given)

    def models(self, door: Door) -> list[FakeModel]:
        """The models that a door shows, whether or not it lets everyone use them."""
        shown = [entry for entry in self.catalogue if door in entry.doors]
        return [entry for entry in shown if self.served(entry.id, door) is not None]

    def model(self, model_id: str, door: Door) -> FakeModel | None:
        """The entry behind a door, by the id asked for."""
        found = catalogue.find(self.catalogue, model_id)
        return found if found is not None and door in found.doors else None

    def served(self, model_id: str, door: Door) -> FakeModel | None:
        """The model that answers for this id today: re-routes are silent."""
        asked = self.model(model_id, door)
        return asked and catalogue.served(self.catalogue, asked, door, self.day())

    def next_serial(self) -> int:
        """Numbers the answers; ids and signatures are made from it."""
        self._serial += 1
        return self._serial

    # -- inside ---------------------------------------------------------------------------------

    def _record(self, request: FakeRequest) -> Recorded:
        try:
            body = parse_json(request)
        except GoogleError:
            body = {}
        return Recorded(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=dict(request.headers),
            json=body,
            call=_call_of(request.path),
            at=self.now(),
        )

    async def _answer(self, request: FakeRequest, entry: Recorded) -> FakeResponse:
        # A generate request is judged before it may fail: a wrong one is never excused.
        result = self._route(request) if entry.call in GENERATE else None
        failure = self._next_failure(entry)
        if entry.call in GENERATE and failure.error is None and (wait_s := self._over_limit()):
            failure = rate_limited(wait_s, entry.model or "")
        if failure.first_byte_s:
            await self.sleep(failure.first_byte_s)
        if failure.error is not None:
            return refused(failure.error)
        result = result or self._route(request)
        if isinstance(result, FakeResponse):
            return result
        return self._generated(result, request, failure)

    def _is_stored(self, entry: Recorded) -> bool:
        if entry.call not in GENERATE or not _GEMINI_API.fullmatch(entry.path):
            return False
        return bool(entry.json.get("store", self.key(entry.headers["x-goog-api-key"]).stores))

    def _next_failure(self, entry: Recorded) -> Failure:
        for plan in self._plans:
            if plan.suits(entry):
                if plan.times is not None:
                    plan.times -= 1
                return plan.failure
        return Failure()

    def _over_limit(self) -> float:
        """Seconds until the window has room; 0 when it has, and one place is taken."""
        if self.limit is None:
            return 0
        most, window_s = self.limit
        while self._taken and self._taken[0] <= self.now() - window_s:
            self._taken.popleft()
        if len(self._taken) >= most:
            return self._taken[0] + window_s - self.now()
        self._taken.append(self.now())
        return 0

    def _route(self, request: FakeRequest) -> FakeResponse | Generation:
        if found := _CODE_ASSIST.fullmatch(request.path):
            return code_assist.handle(self, request, found[1] or found[2])
        if found := _GEMINI_API.fullmatch(request.path):
            return gemini_api.handle(self, request, found[1])
        if found := _VERTEX.fullmatch(request.path):
            return vertex.handle(self, request, vertex.Address(*found.groups()))
        match request.method, request.path:
            case "GET", oauth.AUTHORIZE:
                return self.oauth.authorize(request)
            case "POST", oauth.TOKEN:
                return self.oauth.token(request)
            case "POST", oauth.REVOKE:
                return self.oauth.revoke(request)
            case "GET" | "POST", oauth.TOKENINFO:
                return self.oauth.tokeninfo(request)
            case "GET", oauth.USERINFO:
                return self.oauth.userinfo(request)
        raise html_page(404)

    def _generated(
        self, generation: Generation, request: FakeRequest, failure: Failure
    ) -> FakeResponse:
        """The model's answer to a valid request, failing as ``failure`` says."""
        chunks = self._chunks(generation, failure)
        headers = {"content-type": JSON_TYPE, **generation.headers}
        if not generation.streams:
            folded = respond(generation.dressed(fold(chunks)))
            return replace(folded, headers=headers)
        items: list[Item] = [generation.dressed(chunk) for chunk in chunks]
        if failure.tear is not None:
            items = failure.tear(items)
        if not generation.sse:
            body = wire.encode_array(items, delay_s=self.chunk_delay_s, sleep=self.sleep)
            return FakeResponse(200, headers, body)
        framing = failure.framing or self.framing
        headers["content-type"] = "text/event-stream"
        if framing.gzip and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
        else:
            framing = replace(framing, gzip=False)
        body = wire.encode(items, framing, delay_s=self.chunk_delay_s, sleep=self.sleep)
        return FakeResponse(200, headers, body)

    def _chunks(self, generation: Generation, failure: Failure) -> list[Json]:
        """This request's share of the answer; a token goes on where an earlier hop stopped."""
        asked, streams = generation.asked, generation.streams
        rest = self._hops.resumed(asked)
        if rest is None:
            answer = self._answer_of(asked)
            answer = failure.bend(answer) if failure.bend is not None else answer
            rest = Rest(answer=answer, told=0)
        prompt = count_request(asked.request)
        most = self.hop_tokens if streams else min(self.hop_tokens, UNARY_OUTPUT)
        hop = self._hops.hop(asked, rest, prompt.total, most)
        prompt.add("TEXT", hop.told)
        floor = asked.model.cache_floor(asked.door)
        cached = self._cache.cached_tokens(asked.request, asked.model.id, floor)
        chunks = chunks_of(hop.answer, asked, prompt, cached)
        if asked.door == "vertex" and self.revision:
            chunks = [{**c, "modelVersion": f"{c['modelVersion']}{self.revision}"} for c in chunks]
        return self._hops.marked(chunks, hop, asked, streams=streams)

    def _answer_of(self, asked: Asked) -> Answer:
        if not self.answers:
            given = self.answering(asked)
            return server_tools.invoked(given, asked) if asked.door == "gemini-api" else given
        script = self.answers.popleft()
        answer = script if isinstance(script, Answer) else script(asked)
        return model.signed(answer, asked) if answer.signed else answer


def _call_of(path: str) -> str:
    """The last word of a path: ``/v1internal:loadCodeAssist`` -> ``loadCodeAssist``."""
    if "/operations/" in path:
        return "operations"
    if re.fullmatch(r"/v1(beta)?/models/[^:]+", path):
        return "models"
    return path.rpartition(":")[2].rpartition("/")[2]


class _Watched:
    """A body that notes how it ended; also when nobody ever began to read it."""

    def __init__(self, body: AsyncIterator[bytes], entry: Recorded) -> None:
        self._body = body
        self._entry = entry

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._body)
        except (StopAsyncIteration, ConnectionCutError):
            self._entry.end(finished=True)
            raise
        except asyncio.CancelledError:
            self._entry.end(finished=False)
            raise

    async def aclose(self) -> None:
        self._entry.end(finished=False)
        if isinstance(self._body, AsyncGenerator):
            await self._body.aclose()
