"""The request inspector: what a client asked, what was sent to Google, and what came back.

Off until it is switched on for this run; then the last requests are kept in memory only, each cut
to a bounded size, with everything that looks like a credential blanked out. Headers are not kept.
"""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from server.logs import redact

KEPT = 50
LONGEST_BYTES = 256 * 1024

Side = Literal["client", "upstream", "stream"]


@dataclass(slots=True)
class Trace:
    """What was seen of one request."""

    id: str
    started: float
    """Unix seconds."""
    client: list[str] = field(default_factory=list)
    """The body the client sent."""
    upstream: list[str] = field(default_factory=list)
    """The requests sent to Google, retries included."""
    stream: list[str] = field(default_factory=list)
    """The chunks Google answered with."""
    cut: bool = False
    """There was more than is kept."""
    _room: int = LONGEST_BYTES

    def note(self, side: Side, value: object) -> None:
        """Keep a JSON value, as far as there is room."""
        if self._room <= 0:
            self.cut = True
            return
        indent = None if side == "stream" else 1  # a stream reads best as one line a chunk
        text = redact(json.dumps(value, indent=indent, ensure_ascii=False, default=str))
        kept = text.encode("utf-8", "replace")[: self._room]
        self._room -= len(kept)
        self.cut = self.cut or self._room <= 0
        lines: list[str] = getattr(self, side)
        lines.append(kept.decode("utf-8", "ignore"))


class Inspector:
    """The switch, and the traces kept while it is on."""

    def __init__(self) -> None:
        self.on = False
        self._traces: deque[Trace] = deque(maxlen=KEPT)

    def watch(self, request_id: str, started: float, body: object) -> Trace | None:
        """A trace for a request that begins now; None while the inspector is off."""
        if not self.on:
            return None
        trace = Trace(request_id, started)
        trace.note("client", body)
        self._traces.append(trace)
        return trace

    def switch(self, *, on: bool) -> None:
        """Switching off forgets everything."""
        self.on = on
        if not on:
            self._traces.clear()

    def traces(self) -> tuple[Trace, ...]:
        """Newest first."""
        return tuple(reversed(self._traces))
