"""Server-sent events: frames to write, and an incremental reader for what upstream sends.

The reader follows the WHATWG event-stream grammar and is more tolerant where Google's front end
needs it: a last event without its blank line counts, and raw JSON in place of an event (how an
error may arrive in mid-stream) is handed out as if it had been one.
"""

import re

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
"""Written twice, not ``{2}``: so the engine knows the first byte and skips text faster."""
_LONGEST_BLANK_LINE = 4
_SHORT = 64 * 1024
"""Bytes of an event to come that may be put before what comes next, again and again."""


def frame(data: bytes, event: str | None = None) -> bytes:
    """One event; ``data`` must be a single line."""
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """A line every client skips; it only shows that somebody is still there."""
    return b": " + text.encode() + b"\n\n"


class SSEReader:
    """Bytes in, cut anywhere; the data of complete events out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of the event that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event completed by these bytes."""
        if self._buffer and not _BLANK_LINE.search(self._buffer[-_LONGEST_BLANK_LINE:] + data):
            self._buffer += data  # an event in many pieces: what came before is not read again
            return []
        if len(self._buffer) < _SHORT:
            # Nearly every stream ends all its lines in one way, and then splitting is far faster.
            text = bytes(self._buffer) + data if self._buffer else data
            ends, both = text.count(b"\n"), text.count(b"\r\n")
            if both in (0, ends) and text.count(b"\r") == both:
                *blocks, rest = text.split(b"\r\n\r\n" if both else b"\n\n")
                self._buffer[:] = rest
                return [found for found in map(_data_of, blocks) if found]
        # What is there already holds no whole blank line: a long event is searched only once.
        seen = max(0, len(self._buffer) - _LONGEST_BLANK_LINE)
        self._buffer += data
        # A CR at the very end may be half of a CRLF: leave it for the next read.
        end = len(self._buffer) - self._buffer.endswith(b"\r")
        events: list[bytes] = []
        start = 0
        for blank in _BLANK_LINE.finditer(self._buffer, seen, end):
            block = _data_of(bytes(self._buffer[start : blank.start()]))
            start = blank.end()
            if block:
                events.append(block)
        del self._buffer[:start]
        return events

    def close(self) -> list[bytes]:
        """The event still open at the end of the stream, if there is one."""
        block = _data_of(bytes(self._buffer))
        self._buffer.clear()
        return [block] if block else []


def _data_of(block: bytes) -> bytes:
    """The joined ``data:`` lines of one event; the block itself when it is bare JSON."""
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return block[6:]  # as nearly every event is
    lines = (
        block.removeprefix(b"\xef\xbb\xbf")
        .replace(b"\r\n", b"\n")
        .replace(b"\r", b"\n")
        .split(b"\n")
    )
    data = [
        line[6:] if line.startswith(b"data: ") else line[5:]
        for line in lines
        if line.startswith(b"data:")
    ]
    if data:
        return b"\n".join(data)
    bare = block.strip()
    return bare if bare[:1] in (b"{", b"[") else b""
