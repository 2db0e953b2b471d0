"""JSON Schema -> the subset Gemini accepts (``parametersJsonSchema``, ``responseJsonSchema``).

One cleaner for every dialect. Only schema positions are walked, so a property that happens to be
called ``title`` or ``$schema`` is data and survives. Rules: protocol notes ``openai.md`` section 5.

A node is read as *layers*: the schema as written, then what its ``$ref`` points at, then the
members of its ``allOf``. Earlier layers win; properties and required names add up.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from server.gemini.types import GenerateRequest, Json
from server.json_codec import dumps, loads

_TEXTS = ("title", "description", "pattern")
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_NAMES = ("required", "propertyOrdering")
_VALUES = ("type", "format", "nullable", "enum", "minimum", "maximum")
_SCHEMAS = ("properties", "additionalProperties", "items", "prefixItems", "anyOf")

KEYWORDS = frozenset((*_TEXTS, *_COUNTS, *_NAMES, *_VALUES, *_SCHEMAS))
"""Everything that leaves this module in a schema position."""

_DATES = ("date-time", "date", "time", "duration")
_NUMBERS = ("int32", "int64", "float", "double")
FORMATS = frozenset((*_DATES, *_NUMBERS, "email", "uuid", "uri", "enum"))

MAX_DEPTH = 64
_SIMPLE_DEPTH = 12
"""Depth of the strong pass: "maximum schema depth exceeded" may have been the trouble."""
MAX_DESCRIPTION_CHARS = 10_000
_MAX_RECURSION = 3
"""How many times a definition may appear inside itself."""
_MOST_REMEMBERED = 16 * 1024
"""Bytes of the largest schema whose cleaned form is remembered."""
_MAX_NODES = 5_000
"""Nodes after which no further ``$ref`` is unfolded: a few kB of definitions can mean gigabytes."""
_MAX_HINT_CHARS = 500
_LARGEST_NUMBER = 2**53 - 1

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_HINTED = (
    *("default", "not", "if", "then", "else"),
    *("dependentRequired", "dependentSchemas", "dependencies"),
)
"""Keywords Gemini does not know, but whose meaning the model can read in the description."""

_NOT_SIMPLE = ("title", "additionalProperties", "prefixItems", "pattern", "format")

_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number"}

_KEYWORDS_OF = {
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}


def clean(schema: object) -> Json | None:
    """The schema of a tool's arguments; None when there is nothing to send.

    Gemini refuses an object without properties ("should be non-empty for OBJECT type"), so such a
    tool sends no schema at all. A union of objects at the root becomes one object.

    Agents send the same tools with every turn: the last ones are remembered, so treat the result
    as read-only.
    """
    try:
        text = dumps(schema)
    except RecursionError:
        return _clean(schema)
    return _remembered(text) if len(text) <= _MOST_REMEMBERED else _clean(schema)


@lru_cache(256)
def _remembered(text: bytes) -> Json | None:
    return _clean(loads(text))


def _clean(schema: object) -> Json | None:
    root = _cleaned(schema)
    if "anyOf" in root:
        root = _one_object(root)
    if not root.get("properties"):
        return None
    return {**root, "type": "object"}


def clean_answer(schema: object) -> Json | None:
    """The schema of a structured answer, of any type; None when it says nothing but "JSON"."""
    root = _cleaned(schema)
    says_something = root.keys() - {"type", "title", "description", "nullable"}
    return root if says_something or root.get("type", "object") != "object" else None


def simplify(schema: Json) -> Json:
    """The strong pass, for one retry after upstream refused a schema: typed, flat, without unions.

    What is lost as a constraint stays readable in the description.
    """
    return _simplified(_cleaned(schema, _SIMPLE_DEPTH))


def simplify_request(request: GenerateRequest) -> GenerateRequest:
    """A copy of ``request`` in which every tool and answer schema has gone through ``simplify``."""
    copy: GenerateRequest = {**request}
    if "tools" in request:
        copy["tools"] = [_simplify_tool(tool) for tool in request["tools"]]
    if "generationConfig" in request:
        config = request["generationConfig"]
        copy["generationConfig"] = _simplify_key(config, "responseJsonSchema")
    return copy


def _simplify_tool(tool: Json) -> Json:
    declarations = tool.get("functionDeclarations")
    if not isinstance(declarations, list):
        return tool
    simple = [_simplify_key(declaration, "parametersJsonSchema") for declaration in declarations]
    return {**tool, "functionDeclarations": simple}


def _simplify_key(holder: Json, key: str) -> Json:
    return {**holder, key: simplify(holder[key])} if key in holder else holder


def _cleaned(schema: object, max_depth: int = MAX_DEPTH) -> Json:
    """``schema`` without what Gemini refuses; ``{}`` when nothing is left."""
    if not isinstance(schema, dict):
        return {}
    # Definitions that name each other multiply when unfolded: then fewer levels have to do.
    for levels in (max_depth, 8, 4, 2):
        cleaner = _Cleaner(schema, max_depth, levels)
        cleaned = cleaner.node(schema)
        if cleaner.nodes < _MAX_NODES:
            break
    return cleaned


@dataclass(frozen=True, slots=True)
class _Layer:
    schema: Json
    refs: tuple[str, ...]
    """The references followed to get here; what stops recursion."""


@dataclass(slots=True)
class _Cleaner:
    """One pass over one schema document."""

    root: Json
    max_depth: int
    levels: int
    """How many references deep definitions are unfolded."""
    nodes: int = 0

    def node(self, schema: Json, refs: tuple[str, ...] = (), depth: int = 0) -> Json:
        """One schema position, cleaned."""
        if depth >= self.max_depth:
            return {"type": "object"}
        merged: Json = {}
        for layer in self._layers(schema, refs, depth):
            _merge(merged, self._keywords(layer, depth))
        _settle_union(merged)
        _settle_properties(merged)
        _settle_type(merged)
        return merged

    def _any(self, schema: object, refs: tuple[str, ...], depth: int) -> Json:
        """``node`` for what may also be ``true`` (or nonsense): ``{}``, any value is fine."""
        return self.node(schema, refs, depth) if isinstance(schema, dict) else {}

    def _layers(self, schema: Json, refs: tuple[str, ...], depth: int) -> Iterator[_Layer]:
        self.nodes += 1
        yield _Layer(_without_type_list(schema), refs)
        if depth >= MAX_DEPTH:
            return
        ref = schema.get("$ref")
        if isinstance(ref, str):
            yield from self._target(ref, refs, depth)
        for member in _list(schema.get("allOf")):
            if isinstance(member, dict):
                yield from self._layers(member, refs, depth + 1)

    def _target(self, ref: str, refs: tuple[str, ...], depth: int) -> Iterator[_Layer]:
        target = _resolve(self.root, ref)
        if not isinstance(target, dict):
            return
        recurses = refs.count(ref) >= _MAX_RECURSION or len(refs) >= self.levels
        if recurses or self.nodes >= _MAX_NODES:
            name = ref.rsplit("/", 1)[-1]
            yield _Layer({"type": "object", "description": f"(nested again: {name})"}, refs)
        else:
            yield from self._layers(target, (*refs, ref), depth + 1)

    def _keywords(self, layer: _Layer, depth: int) -> Json:
        schema = layer.schema
        out = _scalars(schema)
        out.update(_range(schema))
        out.update(_choices(schema))
        out.update(self._children(layer, depth + 1))
        if description := _described(schema, _HINTED):
            out["description"] = description
        return out

    def _children(self, layer: _Layer, depth: int) -> Json:
        """The keywords of one layer that hold schemas."""
        schema, refs, out = layer.schema, layer.refs, Json()
        properties = schema.get("properties")
        if isinstance(properties, dict):
            out["properties"] = {
                name: self._any(sub, refs, depth)
                for name, sub in properties.items()
                if sub is not False
            }
        items = schema.get("items")
        if isinstance(items, dict) or items is True:
            out["items"] = self._any(items, refs, depth) or {"type": "string"}
        tuple_items = items if isinstance(items, list) else _list(schema.get("prefixItems"))
        if tuple_items:
            members = [self._any(item, refs, depth) for item in tuple_items]
            out["prefixItems"] = [member or {"type": "string"} for member in members]
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict | bool):
            out["additionalProperties"] = self._any(extra, refs, depth) or extra is not False
        branches = [*_list(schema.get("anyOf")), *_list(schema.get("oneOf"))]
        if branches:
            out["anyOf"] = [self._any(b, refs, depth) for b in branches if b is not False]
        return out


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _resolve(root: object, ref: str) -> object:
    """What a local JSON pointer (RFC 6901, as a URI fragment) points at; None when nowhere."""
    if ref != "#" and not ref.startswith("#/"):
        return None
    target = root
    for token in unquote(ref[1:]).split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict):
            target = target.get(key)
        elif isinstance(target, list) and key.isdecimal() and len(key) < 6:
            target = target[int(key)] if int(key) < len(target) else None
        else:
            return None
    return target


def _without_type_list(schema: Json) -> Json:
    """``type: [a, b, "null"]`` as a union of typed schemas; ``null`` and one type as nullable."""
    listed = schema.get("type")
    if not isinstance(listed, list):
        return schema
    names = list(dict.fromkeys(filter(None, map(_type_name, listed))))
    others = [name for name in names if name != "null"]
    rest = {key: value for key, value in schema.items() if key != "type"}
    if others and "null" in names:
        rest["nullable"] = True
    if len(others) <= 1 or "enum" in schema or "const" in schema:
        return {**rest, "type": (others or names)[0]} if len(others) <= 1 and names else rest
    moved = {key for name in others for key in _KEYWORDS_OF.get(name, ())}
    typed = [{"type": name} | _only(rest, _KEYWORDS_OF.get(name, ())) for name in others]
    kept = {key: value for key, value in rest.items() if key not in moved}
    return kept if "anyOf" in kept or "oneOf" in kept else {**kept, "anyOf": typed}


def _only(schema: Json, keys: tuple[str, ...]) -> Json:
    return {key: schema[key] for key in keys if key in schema}


def _type_name(value: object) -> str | None:
    """JSON Schema's spelling of a type (Gemini's own is upper case), or None."""
    name = value.lower() if isinstance(value, str) else None
    return name if name in _TYPES else None


def _number(value: object) -> int | float | None:
    """A number that survives JSON everywhere; whole floats as int."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if (isinstance(value, float) and not math.isfinite(value)) or abs(value) > _LARGEST_NUMBER:
        return None
    return int(value) if value == int(value) else value


def _scalars(schema: Json) -> Json:
    """The keywords that are passed on as they are, when well-formed."""
    out: Json = {}
    if name := _type_name(schema.get("type")):
        out["type"] = name
    for key in _TEXTS:
        if isinstance(schema.get(key), str) and schema[key]:
            out[key] = schema[key][:MAX_DESCRIPTION_CHARS]
    for key in _COUNTS:
        count = _number(schema.get(key))
        if isinstance(count, int) and count >= 0:
            out[key] = count
    text_format = schema.get("format")
    if isinstance(text_format, str) and text_format in FORMATS:
        out["format"] = text_format
    if schema.get("nullable") is True:
        out["nullable"] = True
    for key in _NAMES:
        names = [name for name in _list(schema.get(key)) if isinstance(name, str)]
        if names:
            out[key] = list(dict.fromkeys(names))
    return out


def _range(schema: Json) -> Json:
    """``minimum`` and ``maximum``; exclusive limits (a number, or draft 4's true) become them."""
    step = 1 if _type_name(schema.get("type")) == "integer" else 0
    out: Json = {}
    for key, exclusive, inward, tighter in (
        ("minimum", "exclusiveMinimum", step, max),
        ("maximum", "exclusiveMaximum", -step, min),
    ):
        limit, beyond = _number(schema.get(key)), _number(schema.get(exclusive))
        if schema.get(exclusive) is True:
            limit, beyond = None, limit
        limits = [n for n in (limit, None if beyond is None else beyond + inward) if n is not None]
        if limits and (number := _number(tighter(limits))) is not None:
            out[key] = number
    return out


def _choices(schema: Json) -> Json:
    """``enum`` (a ``const`` is an enum of one); a null among the choices is ``nullable``."""
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    choices = [value for value in values if value is not None]
    if values and not choices:
        return {"type": "null"}
    out: Json = {"enum": choices} if choices else {}
    if len(choices) < len(values):
        out["nullable"] = True
    return out


def _described(schema: Json, hinted: tuple[str, ...]) -> str:
    """The description, followed by the keywords in ``hinted`` as text."""
    description = schema.get("description")
    parts = [description] if isinstance(description, str) and description else []
    parts += [_hint(key, schema[key]) for key in hinted if schema.get(key) is not None]
    return " ".join(filter(None, parts))[:MAX_DESCRIPTION_CHARS]


def _hint(key: str, value: object) -> str:
    text = _compact(value)
    return f"({key}: {text})" if len(text) <= _MAX_HINT_CHARS else ""


def _compact(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "..."


def _merge(into: Json, other: Json) -> None:
    """Add a later layer: earlier keywords win, properties and required names add up."""
    for key, value in other.items():
        if key not in into:
            into[key] = value
        elif key == "properties":
            for name, sub in value.items():
                _merge(into[key].setdefault(name, {}), sub)
        elif key in _NAMES:
            into[key] = list(dict.fromkeys([*into[key], *value]))


def _settle_union(node: Json) -> None:
    """Null branches become ``nullable``; a union of one, or one that allows anything, dissolves."""
    if "anyOf" not in node:
        return
    branches: list[Json] = node.pop("anyOf")
    others: list[Json] = []
    for branch in branches:
        if branch.get("type") != "null" and branch not in others:
            others.append(branch)
    if len(others) < len(branches) and any(b.get("type") == "null" for b in branches):
        _merge(node, {"nullable": True} if others else {"type": "null"})
    if len(others) == 1:
        _merge(node, others[0])
    elif others and all(others):
        node["anyOf"] = others


def _settle_properties(node: Json) -> None:
    """Every property gets a schema; ``required`` may only name properties that exist."""
    properties: Json = node.pop("properties", {})
    if properties:
        node["properties"] = {name: sub or {"type": "string"} for name, sub in properties.items()}
    for key in _NAMES:
        names = [name for name in node.pop(key, ()) if name in properties]
        if names:
            node[key] = names


def _settle_type(node: Json) -> None:
    """The type, where properties or choices of one kind tell it."""
    kinds = {_KINDS.get(type(value)) for value in node.get("enum", ())}
    if "properties" in node:
        node.setdefault("type", "object")
    elif len(kinds) == 1 and (kind := kinds.pop()):
        node.setdefault("type", kind)


def _one_object(root: Json) -> Json:
    """A union of objects as one object: all properties, and the names every branch requires."""
    branches = [branch for branch in root["anyOf"] if "properties" in branch]
    properties: Json = dict(root.get("properties", {}))
    for branch in branches:
        for name, sub in branch["properties"].items():
            properties[name] = _either(properties[name], sub) if name in properties else sub
    everywhere = [set(branch.get("required", ())) for branch in branches] or [set()]
    required = [*root.get("required", ()), *sorted(set.intersection(*everywhere))]
    merged = {key: value for key, value in root.items() if key not in ("anyOf", "required")}
    if required:
        merged["required"] = list(dict.fromkeys(required))
    return merged | {"properties": properties}


def _either(one: Json, other: Json) -> Json:
    """A schema for what may be either; two enums (a discriminator) become one."""
    if one == other:
        return one
    if "enum" in one and "enum" in other and one.get("type") == other.get("type"):
        extra = [choice for choice in other["enum"] if choice not in one["enum"]]
        return {**one, "enum": one["enum"] + extra}
    return {"anyOf": [*one.get("anyOf", [one]), other]}


def _simplified(node: Json) -> Json:
    if "anyOf" in node:
        first = node["anyOf"][0]
        node = {key: value for key, value in node.items() if key != "anyOf"}
        _merge(node, first)
        return _simplified(node)
    out = {key: value for key, value in node.items() if key not in _NOT_SIMPLE}
    if description := _described(node, ("pattern", "format")):
        out["description"] = description
    # Strings only, and no empty one: "enum[0]: cannot be empty".
    choices = [v if isinstance(v, str) else _compact(v) for v in out.pop("enum", ()) if v != ""]
    if choices:
        return _only(out, ("description", "nullable")) | {"type": "string", "enum": choices}
    out["type"] = node.get("type") or _likely_type(node)
    if "properties" in node:
        out["properties"] = {name: _simplified(sub) for name, sub in node["properties"].items()}
    items = out.pop("items", None)
    if out["type"] == "array":
        out["items"] = _simplified(items or next(iter(node.get("prefixItems", ())), {}))
    return out


def _likely_type(node: Json) -> str:
    for name, keywords in _KEYWORDS_OF.items():
        if any(key in node for key in keywords):
            return name
    return "string"
