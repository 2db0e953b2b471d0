"""OpenAI's ``POST /v1/chat/completions``, and the routes of everything else OpenAI but Responses.

Read on: parse -> the growing choice (stream and unary) -> ``DIALECT``. Sources: OpenAI API
reference, *Chat*; openai-python 3.54 ``types/chat``; protocol notes ``openai.md``.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from server.dialects.base import Dialect, Embed, Generate, GetModel, ListModels, Params, Route
from server.dialects.fields import Fields, wrong
from server.dialects.losses import ignored
from server.dialects.openai.answer import Answer, Piece, Shape, citations, dump, fenced, joined
from server.dialects.openai.answer import finish_reason as finish_word
from server.dialects.openai.completions import (
    completions_encoder,
    encode_completion,
    parse_completion,
)
from server.dialects.openai.embeddings import encode_embeddings, parse_embeddings
from server.dialects.openai.errors import encode_error
from server.dialects.openai.generation import read_format, read_limit, read_sampling, read_thinking
from server.dialects.openai.losses import LOSSES
from server.dialects.openai.messages import read_messages
from server.dialects.openai.models import encode_model, encode_models
from server.dialects.openai.tools import Tools, read_choice, read_functions, read_tools
from server.gemini.events import (
    Code,
    Event,
    Finish,
    FunctionCall,
    Grounding,
    InlineData,
    RawChunk,
    TextDelta,
    TextSignature,
    ThoughtDelta,
    UsageSeen,
)
from server.gemini.types import Call, Json, new_id

_IGNORED = ignored(LOSSES)


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the encoder has to remember of the request."""

    include_usage: bool = False
    legacy: bool = False
    """Asked with ``functions``: calls are told as ``function_call``."""
    custom: frozenset[str] = frozenset()
    """Freeform tools: called with text instead of JSON."""


def parse_chat(body: Json, params: Params) -> Call:
    """A ``Call``; raises ``BadRequestError`` naming the field."""
    fields = Fields.of(body)
    call = Call(
        dialect="openai-chat",
        model=fields.required_string("model"),
        request={},
        stream=fields.boolean("stream"),
        session=fields.string("prompt_cache_key") or params.headers.get("x-session-id"),
    )
    config = read_sampling(fields, call)
    limit = read_limit(fields, "max_completion_tokens", "max_tokens")
    if limit is not None:
        config["maxOutputTokens"] = limit
    extra = fields.object("extra_body")
    google = (extra or fields).object("google")
    call.thinking = read_thinking(fields, google, limit)
    if google and (settings := google.whole_objects("safety_settings")):
        call.request["safetySettings"] = settings
    read_format(fields.object("response_format"), config)
    _read_modalities(fields, config)
    tools, legacy = _read_tools(fields, call)
    read_messages(fields, call)
    if not config:
        del call.request["generationConfig"]
    call.options = ChatOptions(_wants_usage(fields), legacy, frozenset(tools.custom))
    fields.known("tool_choice", "function_call")
    call.dropped += fields.unread(_IGNORED)
    return call


def _read_modalities(fields: Fields, config: Json) -> None:
    modalities = fields.array("modalities") or []
    if "audio" in modalities:
        problem = "Audio answers are not offered; ask for text"
        raise wrong("modalities", problem, code="unsupported_parameter")
    if "image" in modalities:
        config["responseModalities"] = ["TEXT", "IMAGE"]


def _read_tools(fields: Fields, call: Call) -> tuple[Tools, bool]:
    """The tools, and whether they came as the legacy ``functions``."""
    legacy = bool(fields.array("functions")) and not fields.array("tools")
    if legacy:
        tools = read_functions(fields.objects("functions"), call.tool_names)
        read_choice(fields, "function_call", tools, call.tool_names)
    else:
        tools = read_tools(fields.objects("tools"), call.tool_names)
        read_choice(fields, "tool_choice", tools, call.tool_names)
    if fields.object("web_search_options") is not None:
        tools.built_in["googleSearch"] = {}
    tools.put_into(call)
    fields.boolean("parallel_tool_calls")
    # A legacy reply has room for one call.
    call.parallel_tool_calls = fields.raw.get("parallel_tool_calls") is not False and not legacy
    return tools, legacy


def _wants_usage(fields: Fields) -> bool:
    options = fields.object("stream_options")
    return options is not None and options.boolean("include_usage")


@dataclass(slots=True)
class ChatChoice:
    """One answer as it grows: its deltas, and the message they add up to."""

    options: ChatOptions
    started: bool = False
    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    audio: Json | None = None
    """What is said of the sound, beside its data."""
    sounds: list[str] = field(default_factory=list)
    """Its data, base64, piece by piece."""
    annotations: list[Json] = field(default_factory=list)
    refusal: str | None = None
    grounding: Json | None = None
    end: Json = field(default_factory=lambda: {"finish_reason": "stop"})

    def feed(self, event: Event) -> Iterator[Piece]:
        """The role comes first, whatever the first event is; text goes as it stands."""
        if not self.started:
            self.started = True
            yield _delta({"role": "assistant", "content": ""})
        match event:
            case TextDelta(text=text):
                self.texts.append(text)
                yield text
            case ThoughtDelta(text=text):
                self.thoughts.append(text)
                yield _delta({"reasoning_content": text})
            case FunctionCall():
                yield from self._call(event)
            case InlineData():
                yield from self._media(event.mime_type, event.data)
            case Code():
                self.texts.append(fenced(event, self.texts[-1] if self.texts else ""))
                yield self.texts[-1]
            case Grounding(metadata=metadata):
                self.grounding = metadata
            case Finish():
                yield from self._finish(event)
            case TextSignature() | UsageSeen() | RawChunk():
                pass
            case _:
                assert_never(event)

    def whole(self) -> Json:
        """The choice of the unary response."""
        text = "".join(self.texts)
        message: Json = {
            "role": "assistant",
            "content": None if self.calls and not text else text,
            "refusal": self.refusal,
        }
        if self.thoughts:
            message["reasoning_content"] = "".join(self.thoughts)
        if self.calls and self.options.legacy:
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = self.calls
        if self.images:
            message["images"] = self.images
        if self.audio is not None:
            message["audio"] = {**self.audio, "data": joined(self.sounds)}
        if self.annotations:
            message["annotations"] = self.annotations
        return {"message": message, "logprobs": None, **self.end}

    def _media(self, mime: str, data: str) -> Iterator[Piece]:
        if mime.startswith("audio/"):
            yield from self._sound(mime, data)
            return
        address = {"url": f"data:{mime};base64,{data}"}
        self.images.append({"type": "image_url", "image_url": address})
        yield _delta({"images": self.images[-1:]})

    def _sound(self, mime: str, data: str) -> Iterator[Piece]:
        """Speech, as ``message.audio`` holds it (API reference, *The chat completion object*), and
        beside it of which type the bytes are. It is not kept here: it has ended when it is told."""
        if self.audio is None:
            ended = int(time.time())
            self.audio = {"id": new_id("audio_"), "expires_at": ended, "transcript": ""}
            self.audio["mime_type"] = mime
            yield _delta({"audio": {**self.audio, "data": data}})
        else:
            yield _delta({"audio": {"id": self.audio["id"], "data": data}})
        self.sounds.append(data)

    def _call(self, event: FunctionCall) -> Iterator[Piece]:
        """Two frames, as OpenAI sends a call: what is called, then with what."""
        index = len(self.calls)
        kind = "custom" if event.name in self.options.custom else "function"
        key = "input" if kind == "custom" else "arguments"
        given = _input(event.args) if kind == "custom" else dump(event.args).decode()
        call: Json = {"id": event.id, "type": kind, kind: {"name": event.name, key: given}}
        if event.signature is not None:
            call["extra_content"] = {"google": _signature(event)}
        self.calls.append(call)
        if self.options.legacy:
            yield _delta({"function_call": {"name": event.name, "arguments": ""}})
            yield _delta({"function_call": {"arguments": given}})
            return
        opening = {"index": index, **call, kind: {"name": event.name, key: ""}}
        yield _delta({"tool_calls": [opening]})
        yield _delta({"tool_calls": [{"index": index, kind: {key: given}}]})

    def _finish(self, event: Finish) -> Iterator[Piece]:
        if self.grounding is not None:
            found = citations(self.grounding, "".join(self.texts))
            self.annotations = [{"type": "url_citation", "url_citation": one} for one in found]
        if self.annotations:
            yield _delta({"annotations": self.annotations})
        if event.reason == "BLOCKED":
            self.refusal = f"Blocked by Google: {event.detail or 'no reason given'}"
            yield _delta({"refusal": self.refusal})
        word = finish_word(event.reason, called=bool(self.calls))
        if word == "tool_calls" and self.options.legacy:
            word = "function_call"
        self.end = {"finish_reason": word, "native_finish_reason": event.reason.lower()}
        yield {"delta": {}, "logprobs": None, **self.end}


def _delta(delta: Json) -> Json:
    return {"delta": delta, "logprobs": None, "finish_reason": None}


def _input(args: Json) -> str:
    """The text a freeform tool was called with."""
    given = args.get("input")
    return given if isinstance(given, str) else dump(args).decode()


def _signature(event: FunctionCall) -> Json:
    """The thought signature as Google's own compatible endpoint carries it, and who issued it."""
    carried: Json = {"thought_signature": event.signature}
    if event.model is not None:
        carried["thought_signature_model"] = event.model
    return carried


_CHAT = Shape(
    id_prefix="chatcmpl-",
    whole="chat.completion",
    chunk="chat.completion.chunk",
    text=(b'"delta":{"content":', b'},"logprobs":null,"finish_reason":null}'),
    choice=lambda call: ChatChoice(_options(call)),
)


def _options(call: Call) -> ChatOptions:
    return call.options if isinstance(call.options, ChatOptions) else ChatOptions()


def chat_encoder(call: Call) -> Answer:
    """The ``StreamEncoder`` of one chat call."""
    return Answer(call, _CHAT, include_usage=_options(call).include_usage)


def encode_chat(call: Call, events: Sequence[Event]) -> Json:
    """The ``chat.completion`` made of these events."""
    return chat_encoder(call).fold(events)


DIALECT = Dialect(
    name="openai-chat",
    routes=(
        Route("POST", "/v1/chat/completions", Generate(parse_chat, encode_chat, chat_encoder)),
        Route(
            "POST",
            "/v1/completions",
            Generate(parse_completion, encode_completion, completions_encoder),
        ),
        Route("POST", "/v1/embeddings", Embed(parse_embeddings, encode_embeddings)),
        Route("GET", "/v1/models", ListModels(encode_models)),
        Route("GET", "/v1/models/{id}", GetModel(encode_model)),
    ),
    losses=LOSSES,
    encode_error=encode_error,
)
