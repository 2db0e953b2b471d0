"""Events -> a Responses answer: a stream of server-sent events, or one response object.

``Answer`` is the one state machine: it tells output items one after the other, each opened and
closed, between ``response.created`` and exactly one terminal event. ``ResponseStream`` writes what
it tells as frames; the unary response is what is left when all has been told. Sources: OpenAI API
reference, *Responses*, *Streaming events*; protocol notes ``openai.md`` sections 9.4 and 9.5.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from server.dialects.openai.answer import citations, dump, fenced, finish_reason
from server.dialects.responses.envelope import Envelope, seal
from server.dialects.responses.tools import FUNCTION, Called
from server.errors import (
    BadRequestError,
    ContextLengthError,
    OverloadedError,
    ProxyError,
    RateLimitError,
)
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
from server.sse import frame

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reason, as chat words it -> why a response is incomplete."""


@dataclass(slots=True)
class Notes:
    """What parse leaves for the encoder (``Call.options``)."""

    repeated: Json = field(default_factory=dict)
    """Request fields that the response object repeats."""
    called: Mapping[str, Called] = field(default_factory=dict)
    """Name of a declared function -> what the client calls it."""
    input: list[Json] = field(default_factory=list)
    """All input items, those of earlier responses included."""
    store: bool = False
    encrypted: bool = False
    """The client carries reasoning items itself (``include``)."""
    codex: bool = False
    answer: Json | None = None
    """The finished response object, left here by the encoder."""


def notes_of(call: Call) -> Notes:
    return call.options if isinstance(call.options, Notes) else Notes()


@dataclass(slots=True)
class Answer:
    """Tells one answer in stream events, as dicts without their sequence numbers."""

    call: Call
    notes: Notes = field(init=False)
    response: Json = field(init=False)
    """The response object; complete after ``end``."""
    _started: bool = False
    _output: list[Json] = field(default_factory=list)
    """Items that are closed."""
    _open: Json | None = None
    """The reasoning item or message being told."""
    _texts: list[str] = field(default_factory=list)
    """The pieces of its text."""
    _called: bool = False
    _usage: Usage | None = None
    _grounding: Json = field(default_factory=dict)
    _text_signature: str | None = None
    _reason: str | None = None
    """Why the response is incomplete."""
    _blocked: str = ""
    """What to say when Google's filters ended it."""

    def __post_init__(self) -> None:
        self.notes = notes_of(self.call)
        self.response = {
            "id": new_id("resp_"),
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self.call.model,
            "output": [],
            "parallel_tool_calls": self.call.parallel_tool_calls,
            "tool_choice": "auto",
            "tools": [],
            **self.notes.repeated,
            "usage": None,
        }

    def feed(self, event: Event) -> Iterator[Json]:
        """The stream events that ``event`` becomes."""
        match event:
            case UsageSeen():
                self._usage = event.usage
            case Grounding():
                self._grounding |= event.metadata
            case TextSignature():
                self._text_signature = event.signature
            case RawChunk():
                pass  # for Gemini's own dialect alone
            case _:
                yield from self._start()
                yield from self._content(event)

    def progress(self) -> Iterator[Json]:
        """A sign of life: Codex counts events, not comments."""
        if self._started:
            yield {"type": "response.in_progress", "response": self.response}
        yield from self._start()

    def end(self) -> Iterator[Json]:
        """The terminal event of an answer that came to its end."""
        if self._blocked and self.notes.codex:
            # Codex asks five times more for what a filter left incomplete, and shows this once.
            yield from self.fail(BadRequestError(self._blocked))
            return
        yield from self._start()
        yield from self._close()
        status = "incomplete" if self._reason else "completed"
        details = {"reason": self._reason} if self._reason else None
        self.response |= {"status": status, "incomplete_details": details}
        if not self._reason:
            self.response["completed_at"] = int(time.time())
        yield self._terminal()
        self.notes.answer = self.response

    def fail(self, error: ProxyError) -> Iterator[Json]:
        """The terminal event of an answer that failed."""
        yield from self._start()
        self.response |= {"status": "failed", "error": failure(error, codex=self.notes.codex)}
        yield self._terminal()

    def _start(self) -> Iterator[Json]:
        if not self._started:
            self._started = True
            yield {"type": "response.created", "response": self.response}
            yield {"type": "response.in_progress", "response": self.response}

    def _terminal(self) -> Json:
        usage = usage_body(self._usage) if self._usage is not None else None
        self.response |= {"output": self._output, "usage": usage}
        return {"type": f"response.{self.response['status']}", "response": self.response}

    def _content(
        self, event: TextDelta | ThoughtDelta | FunctionCall | InlineData | Code | Finish
    ) -> Iterator[Json]:
        match event:
            case TextDelta(text=text):
                yield from self._text(text)
            case ThoughtDelta(text=text):
                yield from self._thought(text)
            case Code():
                before = self._texts[-1] if self._is_open("message") else ""
                yield from self._text(fenced(event, before))
            case FunctionCall():
                yield from self._call(event)
            case InlineData():
                yield from self._image(event)
            case Finish():
                yield from self._finish(event)
            case _:
                assert_never(event)

    # Items with a text

    def _is_open(self, kind: str) -> bool:
        return self._open is not None and self._open["type"] == kind

    def _text(self, text: str) -> Iterator[Json]:
        if not self._is_open("message"):
            yield from self._close()
            self._open = _message([])
            yield self._added(self._open)
            yield self._event("content_part.added", content_index=0, part=_output_text("", []))
        self._texts.append(text)
        yield self._event("output_text.delta", content_index=0, delta=text, logprobs=[])

    def _thought(self, text: str) -> Iterator[Json]:
        if not self._is_open("reasoning"):
            yield from self._close()
            self._open = _reasoning(None)
            yield self._added(self._open)
            part = {"type": "summary_text", "text": ""}
            yield self._event("reasoning_summary_part.added", summary_index=0, part=part)
        self._texts.append(text)
        yield self._event("reasoning_summary_text.delta", summary_index=0, delta=text)

    def _close(self, status: str = "completed") -> Iterator[Json]:
        """End the open item, if there is one."""
        if self._open is None:
            return
        item, text = self._open, "".join(self._texts)
        if item["type"] == "reasoning":
            part = {"type": "summary_text", "text": text}
            item["summary"] = [part]
            yield self._event("reasoning_summary_text.done", summary_index=0, text=text)
            yield self._event("reasoning_summary_part.done", summary_index=0, part=part)
        else:
            part = _output_text(text, self._annotations(text))
            item |= {"content": [part], "status": status}
            for index, annotation in enumerate(part["annotations"]):
                place = {"content_index": 0, "annotation_index": index}
                yield self._event("output_text.annotation.added", **place, annotation=annotation)
            yield self._event("output_text.done", content_index=0, text=text, logprobs=[])
            yield self._event("content_part.done", content_index=0, part=part)
        self._open, self._texts = None, []
        yield self._done(item)

    def _annotations(self, text: str) -> list[Json]:
        """What the text cites; Gemini tells its sources at the end of the answer."""
        return [{"type": "url_citation", **one} for one in citations(self._grounding, text)]

    # Items told in one go

    def _call(self, event: FunctionCall) -> Iterator[Json]:
        self._called = True
        if event.signature is not None:
            envelope = Envelope(event.model, {event.id: event.signature})
            yield from self._carry(envelope)
        yield from self._close()
        called = self.notes.called.get(event.name) or Called(FUNCTION, event.name)
        kind = called.kind
        item = {"id": new_id(kind.prefix), **called.item(event.id, event.args)}
        if kind.text is None:
            yield self._added(item)
        else:
            whole = item[kind.text]
            yield self._added({**item, kind.text: ""})
            place = {"item_id": item["id"], "output_index": len(self._output)}
            if whole:
                yield {"type": f"{kind.events}.delta", **place, "delta": whole}
            named = {"name": called.name} if kind is FUNCTION else {}
            yield {"type": f"{kind.events}.done", **place, kind.text: whole, **named}
        yield self._done(item | {"status": "completed"})

    def _carry(self, envelope: Envelope) -> Iterator[Json]:
        """Hand signatures to the client: in the open reasoning item, else in one of their own."""
        if self._open is not None and self._open["type"] == "reasoning":
            self._open["encrypted_content"] = seal(envelope)
        else:
            yield from self._close()
            yield from self._whole(_reasoning(seal(envelope)))

    def _image(self, event: InlineData) -> Iterator[Json]:
        """There is no item for sound: its place is told in words."""
        kind, _, form = event.mime_type.partition("/")
        if kind != "image":
            yield from self._text(f"[{kind} omitted: {event.mime_type}]")
            return
        yield from self._close()
        item = {"id": new_id("ig_"), "type": "image_generation_call"}
        yield self._added({**item, "result": None})
        place = {"item_id": item["id"], "output_index": len(self._output)}
        yield {"type": "response.image_generation_call.completed", **place}
        known = {"output_format": form} if form in ("png", "webp", "jpeg", "gif") else {}
        yield self._done(item | {"status": "completed", "result": event.data, **known})

    def _search(self) -> Iterator[Json]:
        """The searches behind the answer, which Gemini tells after it."""
        queries = [query for query in self._grounding.get("webSearchQueries") or () if query]
        if not queries:
            return
        found = citations({**self._grounding, "groundingSupports": None}, "")
        action = {
            "type": "search",
            "query": str(queries[0]),
            "queries": [str(query) for query in queries],
            "sources": [{"type": "url", "url": source["url"]} for source in found],
        }
        item = {"id": new_id("ws_"), "type": "web_search_call", "action": action}
        yield self._added(item)
        place = {"item_id": item["id"], "output_index": len(self._output)}
        for step in ("in_progress", "searching", "completed"):
            yield {"type": f"response.web_search_call.{step}", **place}
        yield self._done(item | {"status": "completed"})

    def _finish(self, event: Finish) -> Iterator[Json]:
        self._reason = _INCOMPLETE.get(finish_reason(event.reason, called=self._called))
        yield from self._close("incomplete" if self._reason else "completed")
        if self._reason == "content_filter":
            self._blocked = f"Blocked by Google: {event.detail or event.reason}"
        if event.reason == "BLOCKED":
            yield from self._refusal(self._blocked)
        yield from self._search()
        if self._text_signature is not None and self.notes.encrypted:
            envelope = Envelope(event.model_version, text=self._text_signature)
            yield from self._whole(_reasoning(seal(envelope)))

    def _refusal(self, text: str) -> Iterator[Json]:
        item = _message([])
        yield self._added(item)
        place = {"item_id": item["id"], "output_index": len(self._output), "content_index": 0}
        empty, part = ({"type": "refusal", "refusal": said} for said in ("", text))
        yield {"type": "response.content_part.added", **place, "part": empty}
        yield {"type": "response.refusal.delta", **place, "delta": text}
        yield {"type": "response.refusal.done", **place, "refusal": text}
        yield {"type": "response.content_part.done", **place, "part": part}
        yield self._done(item | {"content": [part], "status": "incomplete"})

    # Building blocks

    def _added(self, item: Json) -> Json:
        told = item if item["type"] == "reasoning" else {**item, "status": "in_progress"}
        place = {"output_index": len(self._output), "item": told}
        return {"type": "response.output_item.added", **place}

    def _done(self, item: Json) -> Json:
        place = {"output_index": len(self._output), "item": item}
        self._output.append(item)
        return {"type": "response.output_item.done", **place}

    def _whole(self, item: Json) -> Iterator[Json]:
        yield self._added(item)
        yield self._done(item)

    def _event(self, name: str, **more: object) -> Json:
        """An event of the open item."""
        item_id = self._open["id"] if self._open else None
        place = {"item_id": item_id, "output_index": len(self._output)}
        return {"type": f"response.{name}", **place, **more}


def _message(content: Sequence[Json]) -> Json:
    return {"id": new_id("msg_"), "type": "message", "role": "assistant", "content": content}


def _reasoning(encrypted: str | None) -> Json:
    return {
        "id": new_id("rs_"),
        "type": "reasoning",
        "summary": [],
        "encrypted_content": encrypted,
    }


def _output_text(text: str, annotations: Sequence[Json]) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def usage_body(usage: Usage) -> Json:
    """Tokens in the words of Responses; reasoning is a part of the output."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thoughts_tokens},
        "total_tokens": usage.total_tokens,
    }


_OFFICIAL = {
    "insufficient_quota": "rate_limit_exceeded",
    "context_length_exceeded": "invalid_prompt",
    "server_is_overloaded": "server_error",
}
"""Codes that Codex knows and the API reference does not -> the nearest one that it does."""


def failure(error: ProxyError, *, codex: bool) -> Json:
    """``response.error``. Codex decides by code and text whether and when it tries again."""
    code, message = _failure_code(error), error.message
    if code == "rate_limit_exceeded" and error.retry_after_s is not None:
        message += f" Please try again in {math.ceil(error.retry_after_s)}s."
    return {"code": code if codex else _OFFICIAL.get(code, code), "message": message}


def _failure_code(error: ProxyError) -> str:
    match error:
        case RateLimitError(exhausted=True):
            return "insufficient_quota"
        case RateLimitError():
            return "rate_limit_exceeded"
        case ContextLengthError():
            return "context_length_exceeded"
        case OverloadedError():
            return "server_is_overloaded"
        case BadRequestError() | ProxyError(status=401 | 403 | 404 | 501):
            return "invalid_prompt"  # what Codex shows once, and does not send again
        case _:
            return "server_error"


class ResponseStream:
    """Writes an answer as server-sent events."""

    media_type = "text/event-stream"

    def __init__(self, call: Call) -> None:
        self._answer = Answer(call)
        self._number = 0

    def feed(self, event: Event) -> bytes:
        return self._frames(self._answer.feed(event))

    def keep_alive(self) -> bytes:
        return self._frames(self._answer.progress())

    def finish(self) -> bytes:
        return self._frames(self._answer.end())

    def fail(self, error: ProxyError) -> bytes:
        return self._frames(self._answer.fail(error))

    def _frames(self, events: Iterable[Json]) -> bytes:
        frames = []
        for event in events:
            numbered = {"type": event["type"], "sequence_number": self._number, **event}
            frames.append(frame(dump(numbered), event["type"]))
            self._number += 1
        return b"".join(frames)


def encode_response(call: Call, events: Sequence[Event]) -> Json:
    """The response object that the stream of the same events adds up to."""
    answer = Answer(call)
    for event in events:
        for _ in answer.feed(event):
            pass
    for _ in answer.end():
        pass
    return answer.response
