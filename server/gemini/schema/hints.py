"""What Gemini has no keyword for, as text that the model reads in the description."""

import json

from server.gemini.schema.words import MAX_DESCRIPTION_CHARS
from server.gemini.types import Json
from server.limits import HINT_CHARS

Hints = dict[str, str]
"""What stands in the description behind the author's words; the key keeps it from standing twice.

``default`` is its own key, so that the nearest one counts."""


def hint(hints: Hints, keyword: str, value: object) -> bool:
    """Add ``(keyword: value)``; False when it is too long to be told."""
    text = compact(value)
    if text is None:
        return False
    said = f"({keyword}: {text})"
    hints.setdefault(keyword if keyword == "default" else said, said)
    return True


def one_of(values: list[object]) -> str:
    """``(one of: 60, 1440)``, or nothing when that is too long."""
    text = compact(values)
    return f"(one of: {text[1:-1]})" if text else ""


def described(text: object, *hints: str) -> str:
    """A description with what has to be told in it; nothing is told twice."""
    parts = [text] if isinstance(text, str) and text else []
    parts += [said for said in hints if said and not (parts and said in parts[0])]
    return " ".join(parts)[:MAX_DESCRIPTION_CHARS]


def compact(value: object, most: int = HINT_CHARS) -> str | None:
    """``value`` as JSON of at most ``most`` characters, measured before it is made; else None."""
    if _shortest(value, most) < 0:
        return None
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= most else None


def _shortest(value: object, room: int) -> int:
    """What is left of ``room`` once ``value`` is written; below 0 as soon as it does not fit."""
    if isinstance(value, str):
        return room - len(value) - 2
    if not isinstance(value, list | dict):
        return room - 1
    room -= 2
    for item in value:
        if room < 0:
            break
        room = _shortest(item, room) - 1
        if isinstance(value, dict):
            room = _shortest(value[item], room) - 1
    return room + 1 if value else room


def with_hints(node: Json, *more: str) -> Json:
    """``node`` (JSON Schema) with ``more`` in its description."""
    text = described(node.get("description"), *more)
    return {**node, "description": text} if text else node
