"""The request inspector: what a client asked, what was sent to Google, what came back, what left.

Off until it is switched on for this run; then the last requests are kept in memory only, bounded in
number and size, with everything that looks like a credential blanked out. Headers are not kept.

Whoever works for a request notes what passes by with ``note``: which request that is follows the
task it runs in (a ``ContextVar``), so that nothing is handed through the layers between.
"""

import contextlib
import json
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from server.limits import INSPECTED, INSPECTED_CHARS, INSPECTED_CHARS_IN_ALL

_MARGIN = 1024
"""Characters behind the cut in which a secret that begins before it may end."""

Side = Literal["client", "upstream", "stream", "answer"]
SIDES: tuple[Side, ...] = ("client", "upstream", "stream", "answer")
"""The client's body; requests sent to Google; what Google answered; what the client was sent."""

Clean = Callable[[str], str]
"""Blanks out credentials."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was seen."""

    after_s: float
    """Since the request began."""
    head: str
    """An address or a status; empty where the text says all."""
    text: str


@dataclass(slots=True)
class Trace:
    """What was seen of one request."""

    id: str
    what: str
    """Method and path, as the client called them."""
    client: str
    started: float
    """Unix seconds."""
    clean: Clean
    sides: dict[Side, list[Note]] = field(default_factory=lambda: {side: [] for side in SIDES})
    cut: set[Side] = field(default_factory=set)
    """Sides of which there was more than is kept."""
    size: int = 0
    grown: Callable[[], None] = lambda: None
    """Called when it has become larger."""
    _began: float = field(default_factory=monotonic)
    _room: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(SIDES, INSPECTED_CHARS))

    def note(self, side: Side, value: object, head: str = "") -> None:
        """Keep a text, bytes or a JSON value, as far as there is room for its side."""
        room = self._room[side]
        if room <= 0:
            self.cut.add(side)
            return
        text = self.clean(_text_of(value, room + _MARGIN))
        if len(text) > room:
            self.cut.add(side)
            text = text[:room]
        self._room[side] = room - len(text) - 1  # an empty text counts, too: there may be many
        self.size += len(text)
        self.sides[side].append(Note(monotonic() - self._began, head, text))
        self.grown()


def _text_of(value: object, most: int) -> str:
    """``value`` in words; of a large one about the first ``most`` characters."""
    if isinstance(value, bytes):
        value = _read(value, most)
    if isinstance(value, str):
        return value[:most].strip()
    if value is None:
        return ""
    pieces, left = [], most
    for piece in json.JSONEncoder(indent=2, ensure_ascii=False, default=str).iterencode(value):
        pieces.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            break
    return "".join(pieces)


def _read(data: bytes, most: int) -> object:
    """A JSON body as what it says; anything else, events above all, as text."""
    text = data[: 4 * most].decode("utf-8", "replace")
    if len(data) <= most and text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


_watching: ContextVar[list[Trace] | None] = ContextVar("watching", default=None)
"""The trace of the request, once there is one: the list is shared by all tasks that work for it."""


def note(side: Side, value: object, head: str = "") -> None:
    """Keep ``value`` for the request this task works for, if it is being watched."""
    for trace in _watching.get() or ():
        trace.note(side, value, head)


class Inspector:
    """The switch, and the traces kept while it is on."""

    def __init__(self, clean: Clean) -> None:
        self.on = False
        self._clean = clean
        self._traces: deque[Trace] = deque(maxlen=INSPECTED)

    def attend(self) -> None:
        """A request begins: the task that answers it, and those it starts, see the same trace."""
        _watching.set([] if self.on else None)

    def watch(self, request_id: str, what: str, client: str, started: float, body: object) -> None:
        """From here on the request is watched; nothing happens while switched off."""
        watched = _watching.get()
        if watched is None:
            return
        trace = Trace(request_id, what, client, started, self._clean, grown=self._make_room)
        watched.append(trace)
        self._traces.append(trace)
        trace.note("client", body)

    def _make_room(self) -> None:
        """The oldest go first."""
        while (
            len(self._traces) > 1
            and sum(kept.size for kept in self._traces) > INSPECTED_CHARS_IN_ALL
        ):
            self._traces.popleft()

    def switch(self, *, on: bool) -> None:
        """Switching off forgets everything."""
        self.on = on
        if not on:
            self._traces.clear()

    def traces(self) -> tuple[Trace, ...]:
        """Newest first."""
        return tuple(reversed(self._traces))
