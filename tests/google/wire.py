"""How an answer leaves: a door's envelope, and any framing that an HTTP client must bear."""

import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from server.demo.errors import Json
from server.demo.stream import Sleep
from tests.google.http import ConnectionCutError
from tests.google.model import Asked


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is sent for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks here."""


Item = Json | bytes | Pause | Cut
"""What a stream is made of: events, bytes sent as they are, silence, and a broken connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How events are put on the wire."""

    newline: str = "\n"
    split_bytes: int = 0
    """Cut everything into pieces of this size (mid UTF-8, mid ``data:``); 0: one piece an event."""
    gzip: bool = False
    """Compress, for clients that accept it."""
    comments: bool = False
    """Comment and ``id:`` lines between the events."""
    multiline: bool = False
    """Spread every event over several ``data:`` lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A valid generate request, and how its door wants the answer."""

    asked: Asked
    wrap: Callable[[Json], Json]
    """Puts a chunk into the door's envelope."""
    streams: bool
    sse: bool
    """``alt=sse``; without it a stream is one long JSON array."""
    status: Json | None = None
    """``modelStatus`` of the answer."""
    usage: Json = field(default_factory=dict)
    """What the door adds to every ``usageMetadata``."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def dressed(self, chunk: Json) -> Json:
        """A chunk with what the door adds, in the door's envelope."""
        if self.status is not None:
            chunk = {**chunk, "modelStatus": self.status}
        if self.usage and "usageMetadata" in chunk:
            chunk = {**chunk, "usageMetadata": {**self.usage, **chunk["usageMetadata"]}}
        return self.wrap(chunk)


# -- bytes --------------------------------------------------------------------------------------


async def encode(
    items: Iterable[Item], framing: Framing, *, delay_s: float, sleep: Sleep
) -> AsyncIterator[bytes]:
    """Server-sent events, one by one, ``delay_s`` apart."""
    squeeze = zlib.compressobj(wbits=31) if framing.gzip else None
    for i, item in enumerate(items):
        if isinstance(item, Cut):
            raise ConnectionCutError
        if isinstance(item, Pause):
            await sleep(item.seconds)
            continue
        if i and delay_s:
            await sleep(delay_s)
        data = item if isinstance(item, bytes) else event(item, framing)
        if squeeze is not None:
            data = squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        for piece in _split(data, framing.split_bytes):
            yield piece
    if squeeze is not None:
        yield squeeze.flush()


def event(value: Json, framing: Framing | None = None) -> bytes:
    """One event; Google's end of line is CRLF on one door and LF on the other."""
    framing = framing or Framing()
    text = json.dumps(value, ensure_ascii=False, indent=2 if framing.multiline else None)
    lines = [f"data: {line}" for line in text.split("\n")]
    if framing.comments:
        lines = [": keep-alive", "id: 1", *lines]
    return (framing.newline.join(lines) + framing.newline * 2).encode()


def _split(data: bytes, size: int) -> list[bytes]:
    if not size:
        return [data]
    return [data[i : i + size] for i in range(0, len(data), size)]


async def encode_array(
    items: Iterable[Item], *, delay_s: float, sleep: Sleep
) -> AsyncIterator[bytes]:
    """What ``streamGenerateContent`` sends without ``alt=sse``: one JSON array, piece by piece."""
    opened = False
    for item in items:
        if isinstance(item, dict):
            if opened and delay_s:
                await sleep(delay_s)
            text = json.dumps(item, indent=2, ensure_ascii=False)
            yield f"{',' if opened else '['}{text}\n".encode()
            opened = True
    yield b"]"
