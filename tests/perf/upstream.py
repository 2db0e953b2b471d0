"""A Gemini API that costs next to nothing: answers are bytes built once.

``python -m tests.perf.upstream`` prints its port and serves until its standard input closes.
"""

import asyncio
import json
import re
import sys
import time
from functools import cache, partial

WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut"
_PATH = re.compile(rb"(?:GET|POST) (\S+) ")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_MODEL = re.compile(rb"gemini-perf-e(\d+)-i(\d+)")
_USAGE = {"promptTokenCount": 700, "candidatesTokenCount": 25, "totalTokenCount": 725}
STAMP = "@%020d@"


def _chunk(text: str, end: bool, version: str) -> bytes:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if end:
        candidate["finishReason"] = "STOP"
    answer = {
        "candidates": [candidate],
        "usageMetadata": _USAGE,
        "modelVersion": version,
        "responseId": "perf",
    }
    return json.dumps(answer).encode()


@cache
def _frames(end: bool, version: str) -> list[tuple[bytes, bytes]]:
    """One HTTP chunk with one event, for texts of 60 to 200 characters; the stamp goes between."""
    mark = STAMP % 0
    made = []
    for length in range(60, 201, 7):
        event = b"data: " + _chunk(f"{mark} {WORDS * 2}"[:length], end, version) + b"\r\n\r\n"
        before, after = (b"%x\r\n" % len(event) + event + b"\r\n").split(mark.encode())
        made.append((before, after))
    return made


_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def _whole(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
        + body
    )


_MODELS = _whole(
    json.dumps(
        {
            "models": [
                {
                    "name": f"models/{name}",
                    "displayName": name,
                    "inputTokenLimit": 1_048_576,
                    "outputTokenLimit": 65_536,
                    "supportedGenerationMethods": ["generateContent", "countTokens"],
                }
                for name in ("gemini-2.5-pro", "gemini-2.5-flash")
            ]
        }
    ).encode()
)
_LONG_TEXT = (STAMP % 1) + WORDS * 18


@cache
def _unary(version: str) -> bytes:
    return _whole(_chunk(_LONG_TEXT, True, version))


@cache
def _one_event(version: str) -> bytes:
    event = b"data: " + _chunk(_LONG_TEXT, True, version) + b"\r\n\r\n"
    return _STREAM_HEAD + b"%x\r\n" % len(event) + event + b"\r\n0\r\n\r\n"


class Answering(asyncio.Protocol):
    """One connection: reads requests by their length, answers by the model's name."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 0
        self._stamp = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._buffer, 0, end)
            self._needed = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) >= self._needed:
            found = _PATH.match(self._buffer)
            path = bytes(found[1]) if found else b""
            del self._buffer[: self._needed]
            self._needed = 0
            self._answer(path)

    def _answer(self, path: bytes) -> None:
        model = _MODEL.search(path)
        if model is None:
            self._transport.write(_MODELS)
            return
        name, count, interval_ms = model[0].decode(), int(model[1]), int(model[2])
        if b":generateContent" in path:
            self._transport.write(_unary(name))
        elif count == 1:
            self._transport.write(_one_event(name))
        else:
            self._transport.write(_STREAM_HEAD)
            self._stream(name, count, 0, interval_ms / 1000, self._loop.time())

    def _stream(self, name: str, count: int, sent: int, interval_s: float, due: float) -> None:
        """Send what is due: one write per event, at once when there is no interval."""
        while sent < count and not self._transport.is_closing():
            frames = _frames(sent == count - 1, name)
            before, after = frames[sent % len(frames)]
            self._stamp = max(self._stamp + 1, time.monotonic_ns())
            self._transport.write(before + (STAMP % self._stamp).encode() + after)
            sent += 1
            due += interval_s
            if interval_s and sent < count:
                again = partial(self._stream, name, count, sent, interval_s, due)
                self._timer = self._loop.call_at(due, again)
                return
        self._transport.write(b"0\r\n\r\n")


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
