"""Values and words that no program can do damage with; the demo says nothing else.

An agent runs what a model answers. Here the arguments of a call depend on the tool's schema alone,
and of the user's own words one line comes back, without anything that a program could act on.
"""

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from server.demo.errors import GoogleError, Json
from server.demo.rules import resolve

WORD = "demo-value"
"""Every string: no command, no expression, and hardly a file of anybody's."""

_FORMATS = {
    "date": "1970-01-01",
    "time": "00:00:00Z",
    "date-time": "1970-01-01T00:00:00Z",
    "duration": "PT0S",
    "email": "demo@demo.invalid",
    "hostname": "demo.invalid",
    "uri": "https://demo.invalid/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-0000-0000-000000000000",
}
"""Reserved names and addresses (RFC 2606, 5737, 3849), which lead nowhere."""

_QUIET = (
    "none no off never nothing noop no-op skip cancel ignore null unknown other neutral normal "
    "plain text view show read list get find search describe celsius fahrenheit kelvin metric "
    "imperial low medium small short minute hour day week month year asc ascending desc descending "
    "relevance red green blue black white json yaml xml csv markdown"
)
_RANKS = {word: rank for rank, word in enumerate(_QUIET.split())}
"""Members of an ``enum`` that order nothing to be done or changed, the quietest first."""

_UNREADABLE = ("pattern", "not", "if", "contains", "dependentRequired", "dependentSchemas")
"""Keywords that are not followed here: an instance cannot be promised."""

_DEEPEST = 12
_MOST_VALUES = 1000


class NoHarmlessValueError(ValueError):
    """The schema allows no value that is known to do nothing."""


def arguments(schema: Json) -> Json:
    """The arguments of a call to a function with these parameters.

    Raises:
        NoHarmlessValueError: an ``enum``, ``const``, length or keyword leaves no room for them.
    """
    made = _Builder({"type": "object", **schema}, strict=True).made()
    if not isinstance(made, dict):
        raise NoHarmlessValueError
    return made


def instance(schema: object) -> object:
    """A JSON answer: harmless where the schema leaves room, else the first value it names.

    Raises:
        NoHarmlessValueError: nothing fits, or the schema is too large to tell.
    """
    root = schema if isinstance(schema, dict) else {}
    try:
        return _Builder(root, strict=True).made()
    except NoHarmlessValueError:
        return _Builder(root, strict=False).made()


@dataclass(slots=True)
class _Builder:
    root: Json
    strict: bool
    """Refuse what is not known to be harmless, instead of taking what stands first."""
    _left: int = _MOST_VALUES

    def made(self) -> object:
        return self._value(self.root, 0)

    def _value(self, schema: object, depth: int) -> object:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST or schema is False:
            raise NoHarmlessValueError
        if not isinstance(schema, dict):
            return WORD
        if self.strict and any(schema.get(name) for name in _UNREADABLE):
            raise NoHarmlessValueError
        if isinstance(schema.get("$ref"), str):
            return self._value(self._followed(schema), depth + 1)
        if schema.get("allOf"):
            return self._value(self._joined(schema), depth + 1)
        return None if _takes_null(schema) else self._settled(schema, depth)

    def _followed(self, schema: Json) -> Json:
        """``schema`` with what its reference points at."""
        try:
            target = resolve(schema["$ref"], self.root)
        except GoogleError as error:
            raise NoHarmlessValueError from error
        return {**target, **_without(schema, "$ref")}

    def _joined(self, schema: Json) -> Json:
        """``schema`` with all of its ``allOf`` in it."""
        joined = _without(schema, "allOf")
        for part in _rows(schema, "allOf"):
            if not isinstance(part, dict):
                continue
            one = self._followed(part) if isinstance(part.get("$ref"), str) else part
            both = {
                "properties": {**_table(joined, "properties"), **_table(one, "properties")},
                "required": [*_rows(joined, "required"), *_rows(one, "required")],
            }
            joined = {**one, **joined, **{name: value for name, value in both.items() if value}}
        return joined

    def _settled(self, schema: Json, depth: int) -> object:
        """The value where neither a reference nor ``allOf`` is left."""
        if "const" in schema:
            return self._chosen([schema["const"]])
        if _rows(schema, "enum"):
            return self._chosen(schema["enum"])
        for name in ("anyOf", "oneOf"):
            if _rows(schema, name):
                return self._alternative(schema, name, depth)
        match _kind(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number" as kind:
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return False
            case _:
                return self._string(schema)

    def _alternative(self, schema: Json, name: str, depth: int) -> object:
        """The first alternative that works; null before all others."""
        options = [one for one in schema[name] if isinstance(one, dict)]
        for option in sorted(options, key=lambda one: not _takes_null(one)):
            try:
                return self._value({**_without(schema, name), **option}, depth + 1)
            except NoHarmlessValueError:
                continue
        raise NoHarmlessValueError

    def _chosen(self, values: list[object]) -> object:
        """The most harmless of the values named."""
        ranked = [(rank, i) for i, value in enumerate(values) if (rank := _rank(value)) is not None]
        if not ranked and self.strict:
            raise NoHarmlessValueError
        return values[min(ranked)[1] if ranked else 0]

    def _object(self, schema: Json, depth: int) -> Json:
        properties = _table(schema, "properties")
        least = _figure(schema, "minProperties", 0)
        made = {
            str(name): self._value(properties.get(str(name), {}), depth + 1)
            for name in _rows(schema, "required")
        }
        for name in properties:
            if len(made) < least and name not in made:
                made[name] = self._value(properties[name], depth + 1)
        if len(made) < least:
            raise NoHarmlessValueError
        return made

    def _array(self, schema: Json, depth: int) -> list[object]:
        size = _figure(schema, "minItems", 0)
        if size > _MOST_VALUES or (size > 1 and schema.get("uniqueItems")):
            raise NoHarmlessValueError
        leading, every = _rows(schema, "prefixItems"), schema.get("items", {})
        return [
            self._value(leading[i] if i < len(leading) else every, depth + 1)
            for i in range(int(size))
        ]

    def _string(self, schema: Json) -> str:
        form = str(schema.get("format", "enum"))
        text = _FORMATS.get(form, WORD)
        shortest = int(_figure(schema, "minLength", 0))
        longest = int(_figure(schema, "maxLength", _MOST_VALUES))
        known = form == "enum" or form in _FORMATS
        if known and shortest <= len(text) <= longest:
            return text
        if self.strict or shortest > _MOST_VALUES:
            raise NoHarmlessValueError
        return text.ljust(shortest, "-")[: max(longest, 0)]


def _number(schema: Json, *, whole: bool) -> float:
    """The allowed number that is nearest to 0."""
    above = _figure(schema, "exclusiveMinimum", -math.inf)
    below = _figure(schema, "exclusiveMaximum", math.inf)
    least = max(_figure(schema, "minimum", -math.inf), above)
    most = min(_figure(schema, "maximum", math.inf), below)
    step = abs(_figure(schema, "multipleOf", 0)) or (1 if whole else 0)
    value = min(max(0.0, least), most)
    if step and math.isfinite(steps := value / step):
        value = (math.ceil if value > 0 else math.floor)(steps) * step
    if value in (above, below):
        width = step or min(1, (most - least) / 2)
        value += width if value == above else -width
    if not (least <= value <= most and value not in (above, below) and math.isfinite(value)):
        raise NoHarmlessValueError
    return int(value) if value == int(value) else value


def _without(schema: Json, *names: str) -> Json:
    return {name: value for name, value in schema.items() if name not in names}


def _rows(schema: Json, name: str) -> list[Any]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _table(schema: Json, name: str) -> Json:
    found = schema.get(name)
    return found if isinstance(found, dict) else {}


def _figure(schema: Json, name: str, otherwise: float) -> float:
    """A limit; protocol buffers write whole ones as text (``"minItems": "2"``)."""
    found = schema.get(name)
    if isinstance(found, str) and re.fullmatch(r"-?\d{1,18}", found):
        return int(found)
    return found if isinstance(found, int | float) and found is not True else otherwise


def _takes_null(schema: Json) -> bool:
    """Null says "nothing given" wherever it is allowed."""
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    allowed = schema.get("nullable") is True or any(str(one).lower() == "null" for one in kinds)
    return allowed and None in (_rows(schema, "enum") or [schema.get("const")])


def _kind(schema: Json) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind).lower()


def _rank(value: object) -> tuple[int, float] | None:
    """How harmless one named value is, least first; None: not known to be."""
    if value is None or value is False:
        return (0, 0)
    if isinstance(value, int | float) and value is not True:
        return (1, abs(value))
    if isinstance(value, str) and (value == WORD or value.lower() in _RANKS):
        return (2, _RANKS.get(value.lower(), 0))
    return None


# -- the user's words ---------------------------------------------------------------------------

LONGEST_LINE = 200
_READ_CHARACTERS = 8000
_READ_LINES = 100

_MARKS = re.compile(
    r"[<>{}|]|={3}|\+{3}|-{3}|@@|\*{3}|~{3}"
    r"|\b(?:action|action input|thought|observation|final answer)\s*\d*\s*:",
    re.IGNORECASE,
)
"""What makes a line an edit, a tag, an object, or a step of an agent (ReAct)."""

_QUOTES = "\"'“”‘’«»„「」()¿¡*"
_ENDS = ".,!?…。，！？、؟،।"


def plain_line(text: str) -> str:
    """The first line of ``text`` that is only words, without anything a program could act on.

    No tags, fences, back-ticked words, edit markers, JSON, options, paths, addresses or ``Action:``
    lines; each stretch left out is shown as ``…``. At most 200 characters; empty when no line has a
    word to show.
    """
    fenced = False
    for line in text[:_READ_CHARACTERS].splitlines()[:_READ_LINES]:
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and not _MARKS.search(line):
            words = _words(line)
            if any(word != "…" for word in words):
                return _cut(words)
    return ""


def _words(line: str) -> list[str]:
    """The words of a line; one ``…`` for each stretch that holds something else."""
    found: list[str] = []
    for token in re.sub(r"`[^`]*(?:`|$)", " ` ", line).split():
        word = token.strip(_QUOTES)
        core = word.rstrip(_ENDS).rstrip(_QUOTES)
        if core and _is_word(core):
            ends = word[len(core) :].strip(_QUOTES)
            found.append(core + ends[:1])
        elif not found or found[-1] != "…":
            found.append("…")
    return found


def _is_word(text: str) -> bool:
    """Letters and digits; between two of them one apostrophe, hyphen or sign."""
    between = True
    for i, character in enumerate(text):
        letter = unicodedata.category(character)[0] in "LNM"
        if not letter:
            last = i == len(text) - 1
            if between or last or character not in "'’-+.,。，！？、":
                return False
            if character in ".," and not (text[i - 1].isdigit() and text[i + 1].isdigit()):
                return False
        between = not letter
    return True


def _cut(words: list[str]) -> str:
    line = words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > LONGEST_LINE:
            break
        line += f" {word}"
    return line[:LONGEST_LINE]
