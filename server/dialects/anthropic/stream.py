"""Events -> Anthropic's answer: a stream of server-sent events, or one message.

``Answer`` is the one state machine. ``StreamEncoder`` writes what it tells as frames;
``encode_response`` folds the same into the message a client would have put together. Sources:
Anthropic *Streaming messages*; SDK 2.12 ``types/raw_*_event.py`` and ``lib/streaming``.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

from server import sse
from server.dialects.anthropic.envelope import seal
from server.dialects.anthropic.errors import encode_stream_error
from server.errors import ProxyError
from server.gemini.estimate import estimate_tokens
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
from server.gemini.types import Call, Json, Usage, new_id
from server.json_codec import dumps

_REFUSALS = frozenset(
    ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "BLOCKED")
)
"""Ends that are a refusal, besides all ``IMAGE_*``. Claude Code throws the text before one away."""


Visibility = Literal["none", "shown", "hidden"]
"""Of thinking blocks. Strict clients fail on blocks they did not ask for; ``hidden`` ones are empty
and only carry the signature (``display: omitted``)."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What parse leaves for the encoder (``Call.options``)."""

    thinking: Visibility = "none"
    search: bool = False
    """Told as an answer of Anthropic's web search tool: searches, results, then the text."""
    warm_up: bool = False
    """``max_tokens: 0``: no content is wanted."""


@dataclass(slots=True)
class Answer:
    """Tells one answer in Anthropic's stream events, as dicts, in the order the grammar allows:

    ``message_start``, blocks with contiguous indices of which one is open at a time,
    ``message_delta``, ``message_stop``.
    """

    call: Call
    notes: Notes = field(init=False)
    _started: bool = False
    _open: Literal["text", "thinking"] | None = None
    _index: int = 0
    """Of the open block, or of the next one."""
    _called: bool = False
    _usage: Usage | None = None
    _end: Finish = field(default_factory=lambda: Finish("STOP"))
    _grounding: Json = field(default_factory=dict)
    _found_text: list[str] = field(default_factory=list)
    """The text of a search answer: it follows the results, which Gemini sends last."""

    def __post_init__(self) -> None:
        self.notes = self.call.options if isinstance(self.call.options, Notes) else Notes()

    @property
    def open_text(self) -> int | None:
        """The index of an open text block, when further text goes straight into it."""
        return self._index if self._open == "text" else None

    def feed(self, event: Event) -> Iterator[Json]:
        """The stream events that ``event`` becomes."""
        match event:
            case UsageSeen():
                self._usage = event.usage
            case Finish():
                self._end = event
            case Grounding():
                self._grounding |= event.metadata
            case TextSignature() | RawChunk():
                pass  # the pipeline keeps the first, Gemini's own dialect alone gets the second
            case TextDelta() | ThoughtDelta() | FunctionCall() | InlineData() | Code():
                yield from self._start()
                if not self.notes.warm_up:
                    yield from self._content(event)
            case _:
                assert_never(event)

    def finish(self) -> Iterator[Json]:
        """The rest of the answer, once all events have been fed."""
        yield from self._start()
        yield from self._close()
        if self.notes.search:
            yield from self._search()
        yield {
            "type": "message_delta",
            "delta": self._stop(),
            "usage": self._final_usage(),
        }
        yield {"type": "message_stop"}

    def _content(
        self, event: TextDelta | ThoughtDelta | FunctionCall | InlineData | Code
    ) -> Iterator[Json]:
        match event:
            case TextDelta():
                yield from self._text(event.text)
            case ThoughtDelta():
                if self.notes.thinking == "shown":
                    yield from self._ensure("thinking")
                    yield self._delta("thinking_delta", thinking=event.text)
            case FunctionCall():
                yield from self._tool_use(event)
            case InlineData():
                yield from self._text(omitted(event))
            case Code():
                yield from self._text(f"\n```{event.language or ''}\n{event.text}\n```\n")
            case _:
                assert_never(event)

    def _start(self) -> Iterator[Json]:
        if self._started:
            return
        self._started = True
        message: Json = {
            "id": new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self.call.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                **self._input_usage(),
                "cache_creation": {
                    "ephemeral_5m_input_tokens": 0,
                    "ephemeral_1h_input_tokens": 0,
                },
                "output_tokens": 1,
                "service_tier": "standard",
            },
        }
        yield {"type": "message_start", "message": message}

    def _text(self, text: str) -> Iterator[Json]:
        if self.notes.search:
            self._found_text.append(text)
        else:
            yield from self._plain_text(text)

    def _plain_text(self, text: str) -> Iterator[Json]:
        if text:
            yield from self._ensure("text")
            yield self._delta("text_delta", text=text)

    def _ensure(self, kind: Literal["text", "thinking"]) -> Iterator[Json]:
        """Leave a block of this kind open."""
        if self._open == kind:
            return
        yield from self._close()
        self._open = kind
        empty = {"signature": ""} if kind == "thinking" else {}
        yield self._begin({"type": kind, kind: "", **empty})

    def _close(self, signature: str | None = None) -> Iterator[Json]:
        """Close the open block; a thinking block gets its signature last of all."""
        if self._open == "thinking":
            yield self._delta("signature_delta", signature=signature or seal(None, None))
        if self._open is not None:
            self._open = None
            yield self._stop_block()

    def _tool_use(self, call: FunctionCall) -> Iterator[Json]:
        """A whole tool_use block, behind a thinking block if there is a signature to carry."""
        signature = seal(call.signature, call.model) if call.signature else None
        if signature and self.notes.thinking != "none":
            yield from self._ensure("thinking")
        yield from self._close(signature)
        self._called = True
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        yield self._begin(block)
        yield self._delta("input_json_delta", partial_json=_JSON.encode(call.args))
        yield self._stop_block()

    def _search(self) -> Iterator[Json]:
        """The searches made and what they found, then the text with its citations.

        Gemini does not say which query found which page, so the first search has them all.
        """
        pages = [page for page in _dicts(self._grounding.get("groundingChunks")) if _web(page)]
        results = [
            {
                "type": "web_search_result",
                "title": _web(page).get("title") or "",
                "url": _web(page).get("uri") or "",
                "encrypted_content": "",
                "page_age": None,
            }
            for page in pages
        ]
        for query in self._queries():
            search_id = new_id("srvtoolu_")
            use = {"type": "server_tool_use", "id": search_id, "name": "web_search", "input": {}}
            yield self._begin(use)
            yield self._delta("input_json_delta", partial_json=_JSON.encode({"query": query}))
            yield self._stop_block()
            found = {"type": "web_search_tool_result", "tool_use_id": search_id, "content": results}
            yield self._begin(found)
            yield self._stop_block()
            results = []
        yield from self._plain_text("".join(self._found_text))
        if self._open:
            for citation in _citations(self._grounding):
                yield self._delta("citations_delta", citation=citation)
        yield from self._close()

    def _queries(self) -> list[str]:
        queries = self._grounding.get("webSearchQueries")
        return [q for q in queries if isinstance(q, str)] if isinstance(queries, list) else []

    def _begin(self, block: Json) -> Json:
        return {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, kind: str, **content: object) -> Json:
        delta = {"type": kind, **content}
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop_block(self) -> Json:
        self._index += 1
        return {"type": "content_block_stop", "index": self._index - 1}

    def _stop(self) -> Json:
        """``stop_reason`` and what belongs to it; the first rule that fits."""
        reason, detail = self._end.reason, self._end.detail
        refused = reason in _REFUSALS or reason.startswith("IMAGE_")
        if reason == "STOP_SEQUENCE":
            return {"stop_reason": "stop_sequence", "stop_sequence": detail}
        if reason == "MAX_TOKENS":
            return {"stop_reason": "max_tokens", "stop_sequence": None}
        if self._called:
            return {"stop_reason": "tool_use", "stop_sequence": None}
        if refused:
            details = {"type": "refusal", "category": None, "explanation": detail or reason}
            return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
        word = "max_tokens" if self.notes.warm_up else "end_turn"
        return {"stop_reason": word, "stop_sequence": None}

    def _input_usage(self) -> Json:
        """Input tokens as Anthropic counts them: without what came from the cache."""
        usage = self._usage
        if usage is None:
            usage = Usage(prompt_tokens=estimate_tokens(self.call.request), estimated=True)
        return {
            "input_tokens": usage.prompt_tokens - usage.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached_tokens,
        }

    def _final_usage(self) -> Json:
        """Output tokens include thoughts; 0 would be wrong where there is content."""
        usage = self._usage or Usage()
        final = {
            **self._input_usage(),
            "output_tokens": max(usage.output_tokens, 1 if self._index else 0),
            "output_tokens_details": {"thinking_tokens": usage.thoughts_tokens},
        }
        if self.notes.search:
            searches = len(self._queries())
            final["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
        return final


def omitted(event: InlineData) -> str:
    """What stands in place of media, for which this dialect has no block."""
    kind = event.mime_type.partition("/")[0]
    return f"[{kind if kind in ('image', 'audio', 'video') else 'file'} omitted: {event.mime_type}]"


class StreamEncoder:
    """``Answer`` as server-sent events. The event line is mandatory: SDKs skip a frame without."""

    media_type = "text/event-stream"

    def __init__(self, call: Call) -> None:
        self._answer = Answer(call)

    def feed(self, event: Event) -> bytes:
        index = self._answer.open_text
        if index is not None and isinstance(event, TextDelta) and event.text:
            # Nearly every event of an answer: only the text itself is worth encoding.
            return _TEXT_HEAD % index + dumps(event.text) + _TEXT_TAIL
        return _frames(self._answer.feed(event))

    def keep_alive(self) -> bytes:
        return sse.comment("keep-alive")

    def finish(self) -> bytes:
        return _frames(self._answer.finish())

    def fail(self, error: ProxyError) -> bytes:
        return frame(encode_stream_error(error))


_TEXT_HEAD = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"text_delta","text":'
)
_TEXT_TAIL = b"}}\n\n"

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def frame(event: Json) -> bytes:
    """One stream event on the wire."""
    return sse.frame(dumps(event), event["type"])


def _frames(events: Iterable[Json]) -> bytes:
    return b"".join(map(frame, events))


def encode_response(call: Call, events: Sequence[Event]) -> Json:
    """The message that a streaming client would hold at the end."""
    answer = Answer(call)
    told = [stream_event for event in events for stream_event in answer.feed(event)]
    return fold([*told, *answer.finish()])


def fold(stream_events: Iterable[Json]) -> Json:
    """Put a message together from its stream events, as the SDKs do."""
    message: Json = {}
    for event in stream_events:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                _apply(event["delta"], message["content"][-1])
            case "message_delta":
                message.update(event["delta"])
                message["usage"].update(event["usage"])
    return message


def _apply(delta: Json, block: Json) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            block["input"] = json.loads(delta["partial_json"])
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])


def _citations(grounding: Json) -> Iterator[Json]:
    """Each passage of the answer with each page that supports it (``groundingSupports``)."""
    pages = _dicts(grounding.get("groundingChunks"))
    for support in _dicts(grounding.get("groundingSupports")):
        segment, indices = support.get("segment"), support.get("groundingChunkIndices")
        cited = segment.get("text") if isinstance(segment, dict) else None
        for index in indices if isinstance(indices, list) else ():
            if isinstance(index, int) and 0 <= index < len(pages) and isinstance(cited, str):
                yield {
                    "type": "web_search_result_location",
                    "cited_text": cited,
                    "encrypted_index": "",
                    "title": _web(pages[index]).get("title"),
                    "url": _web(pages[index]).get("uri") or "",
                }


def _web(page: Json) -> Json:
    web = page.get("web")
    return web if isinstance(web, dict) else {}


def _dicts(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
