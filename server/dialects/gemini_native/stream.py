"""Answers as Gemini's own API sends them: the chunks themselves, whole or as a stream.

Sources: Gemini API reference, *streamGenerateContent*; google-genai 3.4 (``_api_client.py``); its
JavaScript sister, which Gemini CLI uses (``processStreamResponse``).
"""

import json
from collections.abc import Mapping, Sequence

from server.dialects.base import StreamEncoder
from server.dialects.gemini_native.errors import error_body
from server.errors import ProxyError
from server.gemini.events import Event, RawChunk
from server.gemini.types import Call, Json
from server.sse import frame


def encode_unary(call: Call, events: Sequence[Event]) -> Json:
    """The answer, which upstream gave in one piece."""
    return dict(next(event.chunk for event in events if isinstance(event, RawChunk)))


class Events:
    """The stream of ``alt=sse``: a chunk is an event, and the end is the end."""

    media_type = "text/event-stream"

    def feed(self, event: Event) -> bytes:
        return frame(_dump(event.chunk)) if isinstance(event, RawChunk) else b""

    def keep_alive(self) -> bytes:
        """An empty line: google-genai takes every other line without ``data:`` for bare JSON."""
        return b"\n"

    def finish(self) -> bytes:
        return b""

    def fail(self, error: ProxyError) -> bytes:
        """The error as an event, and once more bare and without an end.

        Most readers, google-genai among them, raise at the first. The one in Gemini CLI takes it
        for an empty chunk, but cannot take a rest that never becomes an event for a good end.
        """
        body = _dump(error_body(error))
        return frame(body) + body


class Array:
    """The stream without ``alt=sse``: one JSON array, an element for each chunk."""

    media_type = "application/json"

    def __init__(self) -> None:
        self._before = b"["

    def feed(self, event: Event) -> bytes:
        return self._element(event.chunk) if isinstance(event, RawChunk) else b""

    def keep_alive(self) -> bytes:
        return b"\n"

    def finish(self) -> bytes:
        return b"[]" if self._before == b"[" else b"]"

    def fail(self, error: ProxyError) -> bytes:
        return self._element(error_body(error)) + self.finish()

    def _element(self, value: Mapping[str, object]) -> bytes:
        before, self._before = self._before, b",\r\n"
        return before + _dump(value)


def encoder(call: Call) -> StreamEncoder:
    """The ``StreamEncoder`` of one call."""
    return Events() if call.options == "sse" else Array()


def _dump(value: Mapping[str, object]) -> bytes:
    """One line of JSON. Half a surrogate pair stays the escape it came as."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
