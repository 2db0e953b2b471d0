"""What the OpenAI tests share: events to encode, streams to read, and the SDK as the judge."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpx2
import pytest
from hypothesis import strategies as st
from openai import OpenAI
from openai._models import validate_type

from server.dialects.base import Embed, Generate, Params
from server.dialects.openai import dialect as openai_chat
from server.dialects.responses import dialect as openai_responses
from server.errors import BadRequestError, ProxyError
from server.gemini.events import (
    Code,
    Event,
    Finish,
    FunctionCall,
    Grounding,
    InlineData,
    TextDelta,
    TextSignature,
    ThoughtDelta,
    UsageSeen,
)
from server.gemini.types import Call, EmbedCall, Embedding, Json, Usage
from server.sse import SSEReader

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)

COUNTS = st.integers(min_value=0, max_value=10_000)
WORDS = st.text(min_size=1, max_size=12)
ARGS = st.dictionaries(WORDS, JSON_VALUES, max_size=2)


def events_of(choice: int) -> st.SearchStrategy[list[Event]]:
    """Any legal answer: contents and usage in any order, then ``Finish``."""
    here = st.just(choice)
    call_id = st.uuids().map(lambda unique: f"call_{unique.hex[:24]}")
    signature = st.none() | st.just("U0lH")
    model = st.none() | st.just("gemini-3-pro-preview")
    web = st.fixed_dictionaries({"web": st.just({"uri": "http://a.test", "title": "A"})})
    grounding = st.fixed_dictionaries({"groundingChunks": st.lists(web, max_size=2)})
    contents: st.SearchStrategy[Event] = st.one_of(
        st.builds(TextDelta, WORDS, here),
        st.builds(ThoughtDelta, WORDS, here),
        st.builds(FunctionCall, call_id, WORDS, ARGS, signature, model, st.none(), here),
        st.builds(TextSignature, WORDS, here),
        st.builds(InlineData, st.just("image/png"), st.just("aGk="), here),
        st.builds(Code, WORDS, st.sampled_from(["python", None]), here),
        st.builds(Grounding, grounding, here),
        st.builds(UsageSeen, st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS), here),
    )
    reasons = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "BLOCKED", "OTHER", "NEW_WORD"])
    end = st.builds(Finish, reasons, st.none() | WORDS, st.none(), here)
    return st.tuples(st.lists(contents, max_size=8), end).map(lambda both: [*both[0], both[1]])


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """One to three answers of one call, interleaved as they may arrive."""
    queues = [draw(events_of(index)) for index in range(draw(st.integers(1, 3)))]
    mixed: list[Event] = []
    while any(queues):
        waiting = [queue for queue in queues if queue]
        mixed.append(waiting[draw(st.integers(0, len(waiting) - 1))].pop(0))
    return mixed


def data_of(stream: bytes) -> list[str]:
    """The data of every event of a stream."""
    return [data.decode() for data in SSEReader().feed(stream)]


def chunks_of(stream: bytes) -> list[Json]:
    """The chunks of a complete stream, which must end with ``[DONE]``."""
    *chunks, done = data_of(stream)
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


def folded(chunks: Iterable[Json], index: int) -> Json:
    """The message a client builds from the deltas of one choice."""
    built: Json = {"role": None, "content": "", "refusal": None}
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] == index:
                _add(built, choice["delta"])
    if built.get("tool_calls") and not built["content"]:
        built["content"] = None
    return built


def _add(built: Json, delta: Json) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            _add_calls(built.setdefault(key, []), value)
        elif key == "role" or isinstance(value, list):
            built[key] = [*built.get(key, []), *value] if isinstance(value, list) else value
        else:
            built[key] = (built.get(key) or "") + value


def _add_calls(calls: list[Json], deltas: list[Json]) -> None:
    for delta in deltas:
        if delta["index"] == len(calls):
            calls.append({key: value for key, value in delta.items() if key != "index"})
        else:
            calls[delta["index"]]["function"]["arguments"] += delta["function"]["arguments"]


Reply = Sequence[Event] | Embedding | ProxyError


class Desk:
    """OpenAI's dialects without a network: the SDK's request in, ``reply`` encoded out."""

    def __init__(self, reply: Reply, *, then: ProxyError | None = None) -> None:
        self.reply = reply
        self.then = then
        """A failure in mid-stream, after ``reply``."""
        self.calls: list[Call | EmbedCall] = []

    @property
    def call(self) -> Call:
        (call,) = self.calls
        assert isinstance(call, Call)
        return call

    def client(self, *, strict: bool = True) -> OpenAI:
        return OpenAI(
            api_key="local",
            base_url="http://proxy.test/v1",
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.MockTransport(self._handle)),
            _strict_response_validation=strict,
        )

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        routes = (*openai_chat.DIALECT.routes, *openai_responses.DIALECT.routes)
        operation = next(route.operation for route in routes if route.path == request.url.path)
        try:
            return self._answer(operation, json.loads(request.content))
        except ProxyError as error:
            status, body = openai_chat.DIALECT.encode_error(error, "req_1")
            return httpx2.Response(status, json=body)

    def _answer(self, operation: object, body: Json) -> httpx2.Response:
        if isinstance(operation, Embed):
            embed = operation.parse(body, Params())
            self.calls.append(embed)
            assert isinstance(self.reply, Embedding)
            return httpx2.Response(200, json=operation.encode(embed, self.reply))
        assert isinstance(operation, Generate)
        call = operation.parse(body, Params())
        self.calls.append(call)
        if isinstance(self.reply, ProxyError):
            raise self.reply
        assert not isinstance(self.reply, Embedding)
        if not call.stream:
            return httpx2.Response(200, json=operation.encode(call, self.reply))
        encoder = operation.encoder(call)
        frames = [encoder.keep_alive(), *(encoder.feed(event) for event in self.reply)]
        frames.append(encoder.fail(self.then) if self.then else encoder.finish())
        kind = {"content-type": encoder.media_type}
        return httpx2.Response(200, content=b"".join(frames), headers=kind)


def strict(kind: Any, value: object) -> Any:
    """``value`` as the SDK's ``_strict_response_validation`` reads it; raises what it would."""
    read = validate_type(type_=kind, value=value)
    assert not isinstance(read, dict)
    return read


def refused(parse: Callable[[Json, Params], object], body: object) -> tuple[str | None, str | None]:
    """The (param, code) of the 400 that ``body`` earns; fails when it is accepted."""
    with pytest.raises(BadRequestError) as caught:
        parse(body, Params())  # type: ignore[arg-type]
    return caught.value.param, caught.value.code
