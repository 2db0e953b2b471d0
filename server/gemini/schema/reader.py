"""A client's schema -> nodes: references unfolded, everything that holds together joined.

Only schema positions are walked, so a property that happens to be called ``title`` or ``$schema``
is data and survives.
"""

import math
from dataclasses import dataclass, field

from server.gemini.schema.conjunction import Conjunction, Node
from server.gemini.schema.hints import Hints, hint
from server.gemini.schema.places import ROOT, Losses, Place
from server.gemini.schema.references import MOST_RECURSION, References, reference
from server.gemini.schema.words import (
    COUNTS,
    FORMATS,
    MAX_DEPTH,
    MAX_DESCRIPTION_CHARS,
    NAMES,
    READ,
    SILENT,
    TOLD,
    list_of,
    number,
    type_name,
)
from server.gemini.types import Json

_EDGES = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_TOUCHES_ARRAYS = frozenset(("items", "prefixItems"))


@dataclass(frozen=True, slots=True)
class Spot:
    """One schema position on the way down."""

    place: Place
    refs: tuple[str, ...] = ()
    """The references followed to get here; what stops recursion."""
    depth: int = 0

    def under(self, *steps: str) -> "Spot":
        return Spot(self.place.under(*steps), self.refs, self.depth + 1)


@dataclass(slots=True)
class Reader:
    """One pass over one document."""

    references: References
    levels: int
    """How many references deep definitions are unfolded."""
    deepest: int = MAX_DEPTH
    """How many schema positions deep the document is read."""
    losses: Losses = field(default_factory=Losses)
    conjunction: Conjunction = field(init=False)

    def __post_init__(self) -> None:
        self.conjunction = Conjunction(self.losses, self.references)

    def document(self, schema: Json) -> Node:
        """The whole document."""
        return self._node(schema, Spot(ROOT))

    def _node(self, schema: Json, at: Spot) -> Node:
        """One schema position with all it refers to."""
        if at.refs:
            self.references.nodes_left -= 1
        if at.depth >= self.deepest:
            self.losses.name(at.place)
            return _typed(schema)
        node = self._own(schema, at)
        ref = reference(schema)
        if ref is not None:
            self.conjunction.join(node, self._target(ref, at), at.place)
        for member in list_of(schema.get("allOf")):
            inner = self._any(member, at.under("allOf[]"))
            self.conjunction.join(node, inner, at.place)
        if schema.get("nullable") is True:
            return _or_null(node)
        return node

    def _any(self, schema: object, at: Spot) -> Node:
        """``node`` for what may also be ``true`` (or nonsense): any value is fine."""
        if isinstance(schema, dict):
            return self._node(schema, at)
        if schema is not True:
            self.losses.name(at.place)
        return {}

    def _target(self, ref: str, at: Spot) -> Node:
        found = self.references.find(ref)
        if found is None:
            self.losses.name(at.place, "$ref")
            return {}
        target, place = found
        recurses = at.refs.count(ref) >= MOST_RECURSION or len(at.refs) >= self.levels
        if not recurses and self.references.unfold(target):
            return self._node(target, Spot(place, (*at.refs, ref), at.depth + 1))
        self.losses.name(at.place, "$ref")
        name = ref.rsplit("/", 1)[-1][:64]
        said = f"(nested again: {name})" if ref in at.refs else f"(left out here: {name})"
        return {**_typed(target), "hints": {said: said}}

    def _own(self, schema: Json, at: Spot) -> Node:
        """The keywords of the position itself."""
        node = _scalars(schema)
        self._types(node, schema, at)
        self._limits(node, schema, at)
        self._choices(node, schema, at)
        self._objects(node, schema, at)
        self._arrays(node, schema, at)
        for key in ("anyOf", "oneOf"):
            self._union(node, key, schema, at)
        self._hints(node, schema, at)
        return node

    def _types(self, node: Node, schema: Json, at: Spot) -> None:
        wanted = schema.get("type")
        if wanted is None:
            return
        names = [type_name(name) for name in (wanted if isinstance(wanted, list) else [wanted])]
        if known := list(dict.fromkeys(name for name in names if name)):
            node["type"] = known
        if not known or None in names:
            self.losses.name(at.place, "type")
            node.pop("type", None)

    def _limits(self, node: Node, schema: Json, at: Spot) -> None:
        """``minimum`` and ``maximum``; exclusive limits (a number, or draft 4's true) become them:
        for integers exactly, for other numbers by leaving the limit itself in."""
        if not schema.keys() & _EDGES:
            return
        whole = "integer" in node.get("type", ()) and "number" not in node["type"]
        for key, exclusive, nearest, step, tighter in (
            ("minimum", "exclusiveMinimum", math.floor, 1, max),
            ("maximum", "exclusiveMaximum", math.ceil, -1, min),
        ):
            limit, beyond = number(schema.get(key)), number(schema.get(exclusive))
            if schema.get(exclusive) is True:
                limit, beyond = None, limit
            if beyond is not None and whole:
                beyond = nearest(beyond) + step
            elif beyond is not None:
                self.losses.name(at.place, exclusive)
            limits = [n for n in (limit, beyond) if n is not None]
            if limits and (tight := number(tighter(limits))) is not None:
                node[key] = tight
            elif schema.get(key) is not None:
                self.losses.name(at.place, key)

    def _choices(self, node: Node, schema: Json, at: Spot) -> None:
        """``enum``; a ``const`` is an enum of one. Strictly, null has to stand in ``type`` and in
        ``enum``; who writes it in one of them means it, and null must stay allowed."""
        choices = list_of(schema.get("enum"))
        if choices:
            node["enum"] = list(choices)
        if "const" in schema:
            self.conjunction.join(node, {"enum": [schema["const"]]}, at.place)
        if "enum" in node and "type" in node:
            if "null" in node["type"]:
                node["enum"].append(None)
            elif None in node["enum"]:
                node["type"] = [*node["type"], "null"]

    def _objects(self, node: Node, schema: Json, at: Spot) -> None:
        properties = schema.get("properties")
        if isinstance(properties, dict):
            node["properties"] = {}
            for name, sub in properties.items():
                spot = at.under("properties", name)
                if sub is not False:
                    node["properties"][name] = self._any(sub, spot)
                elif schema.get("additionalProperties") is not False:
                    self.losses.name(spot.place)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict | bool):
            spot = at.under("additionalProperties")
            node["additionalProperties"] = extra is not False and self._any(extra, spot)
        self._patterns(node, schema, at)

    def _patterns(self, node: Node, schema: Json, at: Spot) -> None:
        """``patternProperties``: what a property with any other name than those declared may be."""
        patterns = schema.get("patternProperties")
        if not isinstance(patterns, dict) or not patterns:
            return
        spot = at.under("patternProperties")
        values = [
            self._any(sub, spot.under(name)) for name, sub in patterns.items() if sub is not False
        ]
        rest = node.get("additionalProperties", {})
        if rest is not False:
            values.append(rest)
        if values:
            node["additionalProperties"] = {"anyOf": values} if all(values) else {}

    def _arrays(self, node: Node, schema: Json, at: Spot) -> None:
        if not schema.keys() & _TOUCHES_ARRAYS:
            return
        items, prefix = schema.get("items"), list_of(schema.get("prefixItems"))
        if isinstance(items, list):  # before draft 2020-12 a tuple was written like this
            prefix, items = items, schema.get("additionalItems")
            at_items = at.under("additionalItems")
        else:
            at_items = at.under("items")
        if prefix:
            spot = at.under("prefixItems[]")
            node["prefixItems"] = [self._any(item, spot) for item in prefix]
        if items is False:
            node["maxItems"] = min(node.get("maxItems", len(prefix)), len(prefix))
        elif items is not None:
            node["items"] = self._any(items, at_items)

    def _union(self, node: Node, key: str, schema: Json, at: Spot) -> None:
        branches = list_of(schema.get(key))
        if not branches:
            return
        spot = at.under(f"{key}[]")
        union = [self._any(b, spot) for b in branches if b is not False]
        if not union:
            self.losses.name(at.place, key)
        elif all(union):
            self.conjunction.join(node, {"anyOf": union}, at.place)

    def _hints(self, node: Node, schema: Json, at: Spot) -> None:
        """What Gemini has no keyword for; constraints are named besides."""
        hints = Hints()
        if (default := schema.get("default")) is not None and not hint(hints, "default", default):
            self.losses.name(at.place, "default")
        named_format = schema.get("format")
        if isinstance(named_format, str) and named_format not in FORMATS:
            hint(hints, "format", named_format)
        for key in schema:
            if key in TOLD and _restricts(key, schema):
                hint(hints, key, schema[key])
                self.losses.name(at.place, key)
            elif key not in READ and key not in SILENT and key not in TOLD and key[:2] != "x-":
                self.losses.name(at.place, key)
        if hints:
            node["hints"] = hints


def _restricts(key: str, schema: Json) -> bool:
    """Whether a keyword of ``TOLD`` says anything."""
    value = schema[key]
    match key:
        case "uniqueItems":
            return value is True
        case "propertyNames":
            return value not in (True, {}, {"type": "string"})
        case "unevaluatedItems" | "unevaluatedProperties":
            return value not in (True, {})
        case "multipleOf":
            return not (value == 1 and schema.get("type") == "integer")
        case "then" | "else":
            return "if" in schema
        case "not" | "contains":
            return True
    return value not in ({}, None)


def _typed(schema: Json) -> Node:
    """No more of a schema than its type."""
    types = schema.get("type")
    known = [type_name(name) for name in (types if isinstance(types, list) else [types])]
    if known and all(known):
        return {"type": known}
    return {"type": ["object"]} if isinstance(schema.get("properties"), dict) else {}


def _or_null(node: Node) -> Node:
    """``nullable`` of the OpenAPI ``Schema``, in JSON Schema's own words."""
    if not node.keys() - {"title", "description", "hints"}:
        return node
    if "type" in node and not node.keys() & {"enum", "anyOf"}:
        node["type"] = list(dict.fromkeys([*node["type"], "null"]))
        return node
    whole: Node = {key: node.pop(key) for key in ("title", "description", "hints") if key in node}
    return whole | {"anyOf": [node, {"type": ["null"]}]}


def _scalars(schema: Json) -> Node:
    """The keywords that are passed on as they are, when well-formed."""
    out: Node = {}
    for key in ("title", "description"):
        if isinstance(schema.get(key), str) and schema[key]:
            out[key] = schema[key][:MAX_DESCRIPTION_CHARS]
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and 0 < len(pattern) <= MAX_DESCRIPTION_CHARS:
        out["pattern"] = pattern
    for key in COUNTS:
        if key in schema:
            count = number(schema[key])
            if isinstance(count, int) and count >= 0:
                out[key] = count
    text_format = schema.get("format")
    if isinstance(text_format, str) and text_format in FORMATS:
        out["format"] = text_format
    for key in NAMES:
        names = [name for name in list_of(schema.get(key)) if isinstance(name, str)]
        if names:
            out[key] = dict.fromkeys(names)
    return out
