"""The request inspector's page: a list of requests, and one of them with its four sides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quart import redirect, render_template, request

from server.inspector import SIDES, Inspector, Note, Side, Trace
from server.limits import INSPECTED, INSPECTED_CHARS
from webui.forms import Forms

TITLES: Mapping[Side, str] = {
    "client": "From the client",
    "upstream": "Sent to Gemini",
    "stream": "Answer of Gemini",
    "answer": "Sent to the client",
}
NOTHING: Mapping[Side, str] = {
    "client": "No body.",
    "upstream": "Nothing was sent.",
    "stream": "Nothing came back.",
    "answer": "Nothing was sent.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request in the list."""

    id: str
    when: str
    what: str
    client: str
    model: str
    outcome: str
    took_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """One side of a request."""

    side: Side
    title: str
    nothing: str
    """What to say when nothing was seen."""
    notes: tuple[Note, ...]
    cut: bool


def rows_of(traces: Iterable[Trace], entries: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """The list, in the order of ``traces``; ``entries``: the usage log by request id."""
    return [_row_of(trace, entries.get(trace.id, {})) for trace in traces]


def _row_of(trace: Trace, entry: Mapping[str, Any]) -> Row:
    """Token counts and other questions without a usage entry end with the answer's status."""
    answers = trace.sides["answer"]
    return Row(
        id=trace.id,
        when=datetime.fromtimestamp(trace.started).astimezone().isoformat(),
        what=trace.what,
        client=trace.client,
        model=entry.get("model") or entry.get("asked") or "",
        outcome=entry.get("outcome") or (answers[-1].head if answers else ""),
        took_ms=entry.get("latency_ms") or (answers[-1].after_s * 1000 if answers else None),
    )


def panes_of(trace: Trace) -> list[Pane]:
    """The sides of one request, in the order a request passes them."""
    return [
        Pane(
            side=side,
            title=TITLES[side],
            nothing=NOTHING[side],
            notes=tuple(trace.sides[side]),
            cut=side in trace.cut,
        )
        for side in SIDES
    ]


class InspectPage:
    """``/inspect``."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms

    @property
    def _inspector(self) -> Inspector:
        return self._forms.gateway.pipeline.inspector

    async def show(self) -> str:
        usage = await self._forms.gateway.usage.summary()
        traces = self._inspector.traces()
        entries = {entry["id"]: entry for entry in usage["recent_requests"]}
        wanted = request.args.get("id", "")
        chosen = next((trace for trace in traces if trace.id == wanted), None)
        if chosen is None and not wanted and traces:
            chosen = traces[0]
        return await render_template(
            "inspect.html",
            on=self._inspector.on,
            rows=rows_of(traces, entries),
            chosen=chosen,
            wanted=wanted,
            entry=entries.get(chosen.id) if chosen else None,
            panes=panes_of(chosen) if chosen else [],
            running=len(self._forms.gateway.pipeline.live),
            kept=INSPECTED,
            longest_kib=INSPECTED_CHARS // 1024,
            token=self._forms.token,
        )

    async def change(self) -> Any:
        form = await self._forms.read("")
        self._inspector.switch(on=form.get("on") == "yes")
        return redirect("/inspect", 303)
