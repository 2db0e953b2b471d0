"""JSON read as protocol buffers, with Google's complaints.

The front end turns JSON into typed messages before any product code sees it. Every field may be
written in camelCase or snake_case, null means unset, int64 may be a string, and an unknown name is
an error that carries its path (``request.tools[0].function_declarations[0].parameters``). The
result of reading is the same JSON with every field name in camelCase.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from server.demo.errors import GoogleError, Json, bad_request


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value of one primitive type."""

    type_name: str
    accepts: Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Enum:
    """One of ``values``."""

    type_name: str
    values: frozenset[str]
    any_case: bool = False


@dataclass(frozen=True, slots=True)
class Repeated:
    item: "Spec"


@dataclass(frozen=True, slots=True)
class MapOf:
    """``map<string, item>``; its keys are the caller's own."""

    item: "Spec"


@dataclass(frozen=True, slots=True)
class Message:
    """A message; ``fields`` (camelCase) may be filled in later, so that it can contain itself."""

    name: str
    fields: dict[str, "Spec"] = field(default_factory=dict)
    oneof: tuple[str, ...] = ()
    """At most one of these may be set."""


MOST_VIOLATIONS = 20
"""Named in one refusal; reading ends with the last of them."""
QUOTED_CHARS = 80
"""Of a value or name in a refusal."""

Spec = Scalar | Enum | Repeated | MapOf | Message


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return bool(re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_int(bits: int) -> Callable[[object], bool]:
    def accepts(value: object) -> bool:
        if not _is_number(value):
            return False
        number = float(str(value))
        return number.is_integer() and -(2 ** (bits - 1)) <= number < 2 ** (bits - 1)

    return accepts


def decode_bytes(value: str) -> bytes | None:
    """Base64 in either alphabet, padded or not, as proto JSON takes it; None when it is neither."""
    text = value.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


STRING = Scalar("TYPE_STRING", lambda v: isinstance(v, str))
BOOL = Scalar("TYPE_BOOL", lambda v: isinstance(v, bool))
FLOAT = Scalar("TYPE_FLOAT", _is_number)
DOUBLE = Scalar("TYPE_DOUBLE", _is_number)
INT32 = Scalar("TYPE_INT32", _is_int(32))
INT64 = Scalar("TYPE_INT64", _is_int(64))
BYTES = Scalar("TYPE_BYTES", lambda v: isinstance(v, str) and decode_bytes(v) is not None)
STRUCT = Scalar("type.googleapis.com/google.protobuf.Struct", lambda v: isinstance(v, dict))
VALUE = Scalar("type.googleapis.com/google.protobuf.Value", lambda v: True)


def snake(name: str) -> str:
    """``parametersJsonSchema`` -> ``parameters_json_schema``, as paths are written."""
    return re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), name)


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda m: m[1].upper(), name)


def read(spec: Message, value: Json) -> Json:
    """``value`` as a message of ``spec``, names in camelCase; 400 lists what is wrong, the first
    ``MOST_VIOLATIONS`` of it."""
    reader = _Reader()
    message = reader.message(spec, value, "")
    if reader.violations:
        raise reader.refusal()
    return message


def _quoted(given: object) -> str:
    return json.dumps(given)[:QUOTED_CHARS]


class _Reader:
    def __init__(self) -> None:
        self.violations: list[tuple[str, str]] = []

    def refusal(self) -> GoogleError:
        """400 for all that was found."""
        text = "\n".join(description for _, description in self.violations)
        return GoogleError(400, text, bad_request(*self.violations))

    def message(self, spec: Message, value: Json, path: str) -> Json:
        result: Json = {}
        for name, given in value.items():
            wanted = name if name in spec.fields else camel(name)
            if wanted not in spec.fields:
                self._unknown(name, path)
            elif given is not None:
                inner = f"{path}.{snake(wanted)}" if path else snake(wanted)
                result[wanted] = self.value(spec.fields[wanted], given, inner)
        chosen = [name for name in spec.oneof if name in result]
        if len(chosen) > 1:
            self._wrong(path, "oneof", f"oneof field is already set. Cannot set '{chosen[1]}'")
        return result

    def value(self, spec: Spec, given: object, path: str) -> object:
        match spec:
            case Repeated():
                return self._list(spec, given, path)
            case MapOf():
                return self._map(spec, given, path)
            case Message():
                return self._nested(spec, given, path)
            case Enum():
                return self._enum(spec, given, path)
            case Scalar():
                return self._scalar(spec, given, path)

    def _enum(self, spec: Enum, given: object, path: str) -> object:
        if isinstance(given, list):
            self._complain(path, f'Proto field "{path}" is not repeating, cannot start list.')
            return None
        word = given.upper() if spec.any_case and isinstance(given, str) else given
        if not isinstance(word, str) or word not in spec.values:
            self._wrong(path, spec.type_name, _quoted(given))
        return word

    def _scalar(self, spec: Scalar, given: object, path: str) -> object:
        if isinstance(given, list) and spec is not VALUE:
            self._complain(path, f'Proto field "{path}" is not repeating, cannot start list.')
        elif not spec.accepts(given):
            reason = "Base64 decoding failed for " if spec is BYTES else ""
            self._wrong(path, spec.type_name, reason + _quoted(given))
        elif isinstance(given, str) and spec in (FLOAT, DOUBLE):
            return float(given)
        elif spec in (INT32, INT64):
            return int(float(str(given)))
        return given

    def _list(self, spec: Repeated, given: object, path: str) -> object:
        # A bare message where a list is wanted counts as a list of one.
        items = given if isinstance(given, list) else [given]
        return [self.value(spec.item, item, f"{path}[{i}]") for i, item in enumerate(items)]

    def _map(self, spec: MapOf, given: object, path: str) -> object:
        if not isinstance(given, dict):
            self._wrong(path, "Map", _quoted(given))
            return {}
        pairs = enumerate(given.items())
        return {key: self.value(spec.item, item, f"{path}[{i}].value") for i, (key, item) in pairs}

    def _nested(self, spec: Message, given: object, path: str) -> object:
        if isinstance(given, dict):
            return self.message(spec, given, path)
        if isinstance(given, list):
            self._complain(path, f'Proto field "{path}" is not repeating, cannot start list.')
        else:
            self._wrong(path, spec.name, _quoted(given))
        return {}

    def _unknown(self, name: str, path: str) -> None:
        at = f" at '{path}'" if path else ""
        self._complain(path, f'Unknown name "{name[:QUOTED_CHARS]}"{at}: Cannot find field.')

    def _wrong(self, path: str, type_name: str, given: str) -> None:
        self._complain(path, f"Invalid value at '{path}' ({type_name}), {given}", prefix="")

    def _complain(
        self, path: str, text: str, prefix: str = "Invalid JSON payload received. "
    ) -> None:
        self.violations.append((path, prefix + text))
        if len(self.violations) == MOST_VIOLATIONS:
            raise self.refusal()


def enum(name: str, *values: str, any_case: bool = False) -> Enum:
    return Enum(f"type.googleapis.com/google.{name}", frozenset(values), any_case)


def message(name: str, fields: Mapping[str, Spec], oneof: tuple[str, ...] = ()) -> Message:
    return Message(f"type.googleapis.com/google.{name}", dict(fields), oneof)
