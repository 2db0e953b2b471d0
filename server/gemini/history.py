"""Conversations as clients send them -> conversations Gemini accepts.

Gemini wants turns that alternate, begin and end with the user, and every function call answered in
the next content, by exactly as many results in the same order (protocol notes ``code-assist.md``
6.1 and 6.4, ``openai.md`` 4, ``anthropic.md`` 3). Agents send late, missing, doubled and unknown
results; all of that is mended here, and nothing a client said is lost.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby

from server.gemini.types import Content, Json

NO_RESULT = "No result was recorded for this call."
CONTINUE = "Continue exactly where you stopped."
OPENING = "."
"""Said by the user when a conversation begins with the model."""


@dataclass(slots=True)
class _Call:
    """A function call of one model content, and the result found for it."""

    turn: int
    id: str
    part: Json
    result: Json | None = None

    @property
    def name(self) -> str:
        return str(self.part["functionCall"].get("name", ""))


def repair(contents: Sequence[Content]) -> list[Content]:
    """The same conversation in a form that Gemini accepts; ``[]`` when nothing is said in it."""
    turns = _merged(contents)
    calls, orphans = _pair(turns)
    repaired = _merged(_rebuilt(turns, calls, orphans))
    if repaired and repaired[0]["role"] == "model":
        repaired.insert(0, _says(OPENING))
    if repaired and repaired[-1]["role"] == "model":
        repaired.append(_says(CONTINUE))
    return repaired


def is_result(part: Json) -> bool:
    return "functionResponse" in part


def _says(text: str) -> Content:
    return {"role": "user", "parts": [{"text": text}]}


def _merged(contents: Iterable[Content]) -> list[Content]:
    """Without empty parts and contents; neighbours of one role become one content."""
    full = [
        (content.get("role", "user"), parts)
        for content in contents
        if (parts := [p for p in content.get("parts") or () if p not in ({}, {"text": ""})])
    ]
    return [
        {"role": role, "parts": [part for _, parts in group for part in parts]}
        for role, group in groupby(full, key=lambda pair: pair[0])
    ]


@dataclass(slots=True)
class _Known:
    """The calls of the latest turn that made one with a certain id."""

    turn: int
    calls: list[_Call] = field(default_factory=list)
    answered: int = 0
    """How many of the calls have a result: they get them in their order."""

    def answer(self, part: Json) -> None:
        """Two calls of one turn may share an id by mistake: each gets a result, then the last."""
        self.calls[min(self.answered, len(self.calls) - 1)].result = part
        self.answered += 1


def _pair(turns: Sequence[Content]) -> tuple[list[_Call], list[Json]]:
    """Every call with its result, and the results that belong to no call.

    A result belongs to the latest call before it with its id; of several, the last one counts.
    """
    calls: list[_Call] = []
    latest: dict[str, _Known] = {}
    orphans: list[tuple[int, Json]] = []
    for turn, content in enumerate(turns):
        for part in content["parts"]:
            if "functionCall" in part:
                call = _Call(turn, str(part["functionCall"].get("id", "")), part)
                known = latest.get(call.id)
                if known is None or known.turn != turn:
                    known = latest[call.id] = _Known(turn)
                known.calls.append(call)
                calls.append(call)
            elif is_result(part):
                known = latest.get(str(part["functionResponse"].get("id", "")))
                if known is not None:
                    known.answer(part)
                else:
                    orphans.append((turn, part))
    adopted = _adopt(orphans, calls)
    return calls, [part for _, part in orphans if id(part) not in adopted]


def _adopt(orphans: Sequence[tuple[int, Json]], calls: Sequence[_Call]) -> set[int]:
    """Give results with an unknown id to the one unanswered call of their name just before them.

    Returns the ``id`` of each part that found its call.
    """
    turns = list(dict.fromkeys(call.turn for call in calls))
    unanswered: dict[tuple[int, object], list[_Call]] = {}
    for call in calls:
        if call.result is None:
            unanswered.setdefault((call.turn, call.name), []).append(call)
    adopted: set[int] = set()
    for turn, part in orphans:
        before = bisect_left(turns, turn)
        name = part["functionResponse"].get("name")
        candidates = unanswered.get((turns[before - 1], name), ()) if before else ()
        if len(candidates) == 1 and candidates[0].result is None:
            candidates[0].result = part
            adopted.add(id(part))
    return adopted


def _rebuilt(
    turns: Sequence[Content], calls: Sequence[_Call], orphans: Sequence[Json]
) -> Iterator[Content]:
    """The turns, with each content of calls followed at once by all of its results."""
    lost = {id(part) for part in orphans}
    calls_of = {turn: list(own) for turn, own in groupby(calls, key=lambda call: call.turn)}
    for turn, content in enumerate(turns):
        parts: list[Json] = []
        for part in content["parts"]:
            if id(part) in lost:
                parts += _told(part["functionResponse"])
            elif not is_result(part) and "functionCall" not in part:
                parts.append(part)
        own = _with_distinct_ids(calls_of.get(turn, ()))
        yield {"role": content["role"], "parts": [*parts, *(call.part for call in own)]}
        yield {"role": "user", "parts": [_answer(call) for call in own]}


def _with_distinct_ids(calls: Iterable[_Call]) -> list[_Call]:
    """Gemini 3.5 and later match results by id, so two calls of a turn must not share one."""
    seen: set[str] = set()
    numbers: dict[str, Iterator[int]] = {}
    distinct: list[_Call] = []
    for call in calls:
        wanted = own = call.id or f"call_{call.turn}"
        while own in seen:
            own = f"{wanted}_{next(numbers.setdefault(wanted, count(2)))}"
        seen.add(own)
        part = {**call.part, "functionCall": {**call.part["functionCall"], "id": own}}
        distinct.append(_Call(call.turn, own, part, call.result))
    return distinct


def _answer(call: _Call) -> Json:
    """The result part of a call, under the call's own name and id."""
    if call.result is None:
        result: Json = {"response": {"error": NO_RESULT}}
    else:
        result = call.result["functionResponse"]
    return {"functionResponse": {**result, "id": call.id, "name": call.name}}


def _told(result: Json) -> list[Json]:
    """A result that belongs to no call, as something the user says."""
    response = result.get("response", {})
    said = response.get("output", response.get("error", response))
    text = f"Tool result (unknown call {result.get('id', '')}):\n{said}"
    return [{"text": text}, *result.get("parts", ())]
