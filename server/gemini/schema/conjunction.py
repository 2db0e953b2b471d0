"""Schemas that hold together (``allOf``, a ``$ref`` and what stands beside it) as one schema.

A *node* is a schema on its way: JSON Schema, but ``type`` is always a list, ``required`` and
``propertyOrdering`` are dicts (ordered, without repeats), and ``hints`` holds what the description
will tell besides. Joining changes the first node in place, so that ten thousand members cost ten
thousand steps. A cleaned schema never allows less than the client's: what cannot be said together
is left out and named.
"""

import copy
from dataclasses import dataclass

from server.gemini.schema.hints import Hints, hint
from server.gemini.schema.places import Losses, Place
from server.gemini.schema.references import References
from server.gemini.schema.words import KEYWORDS_OF, NAMES, TYPED
from server.gemini.types import Json
from server.json_codec import dumps

Node = Json

_TIGHTER = {
    **dict.fromkeys(("minimum", "minItems", "minLength", "minProperties"), max),
    **dict.fromkeys(("maximum", "maxItems", "maxLength", "maxProperties"), min),
}
_MOST_PAIRS = 64
"""Of two unions: more alternatives than that are not multiplied out."""
_MOST_PRODUCTS = 100
"""Unions multiplied out in one document."""


def value_key(value: object) -> object:
    """What tells JSON values apart: ``1`` and ``1.0`` are one value, ``1`` and ``true`` are two."""
    if isinstance(value, bool):
        return ("boolean", value)
    return ("json", dumps(value)) if isinstance(value, list | dict) else value


def meet(one: list[str], other: list[str]) -> list[str]:
    """The types that both lists allow; every integer is a number."""
    both = [t for t in one if t in other or (t == "integer" and "number" in other)]
    return both + [
        t for t in other if t == "integer" and t not in both and "number" in one and t not in one
    ]


def distinct(nodes: list[Node]) -> list[Node]:
    """Each node once, in whatever order its keywords stand."""
    first: dict[bytes, Node] = {}
    for node in nodes:
        first.setdefault(dumps(_sorted(node)), node)
    return list(first.values())


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@dataclass(slots=True)
class Conjunction:
    """Joins the nodes of one document."""

    losses: Losses
    references: References
    """Pairs of alternatives take their room, as what references unfold to does."""
    products: int = 0

    def join(self, into: Node, other: Node, at: Place) -> bool:
        """Let ``into`` allow only what ``other`` allows too. False when nothing is allowed by both:
        then ``into`` keeps its own word. ``other`` must not be used afterwards."""
        self._escaped(into, other, at)
        possible = True
        for key, value in other.items():
            if key not in into:
                into[key] = value
            elif key in ("type", "enum"):
                possible = self._choices(into, key, value, at) and possible
            elif key in _TIGHTER:
                into[key] = _TIGHTER[key](into[key], value)
            elif key in (*NAMES, "hints"):
                for name, said in value.items():
                    into[key].setdefault(name, said)
            else:
                self._schemas(into, key, value, at)
        return possible

    def _choices(self, into: Node, key: str, value: list[object], at: Place) -> bool:
        """``type`` or ``enum``: what both name."""
        if key == "type":
            both: list[object] = [*meet(into[key], [str(name) for name in value])]
        else:
            allowed = {value_key(choice) for choice in value}
            both = [choice for choice in into[key] if value_key(choice) in allowed]
        if not both:
            self.losses.name(at, key)
            return False
        into[key] = both
        return True

    def _schemas(self, into: Node, key: str, value: object, at: Place) -> None:
        mine = into[key]
        match key:
            case "properties" if isinstance(value, dict):
                for name, sub in value.items():
                    if name in mine:
                        self.join(mine[name], sub, at.under("properties", name))
                    else:
                        mine[name] = sub
            case "prefixItems" if isinstance(value, list):
                for one, sub in zip(mine, value, strict=False):
                    self.join(one, sub, at.under("prefixItems[]"))
                mine += value[len(mine) :]
            case "additionalProperties" if mine is False or value is False:
                into[key] = False
            case "items" | "additionalProperties" if isinstance(value, dict):
                self.join(mine, value, at.under(key))
            case "anyOf" if isinstance(value, list):
                self._unions(into, value, at)
            case "pattern" | "format" if value != mine:
                hint(into.setdefault("hints", Hints()), key, value)
                self.losses.name(at, key)

    def _escaped(self, into: Node, other: Node, at: Place) -> None:
        """Names the rule for further properties (or items) that does not reach what the other side
        declares: it would have to be copied into each of them."""
        for one, two in ((into, other), (other, into)):
            declared = one.get("properties", {})
            if one.get("additionalProperties", {}) != {} and any(
                name not in declared for name in two.get("properties", ())
            ):
                self.losses.name(at, "additionalProperties")
            if one.get("items") and len(_tuple(two)) > len(_tuple(one)):
                self.losses.name(at, "items")

    def _unions(self, into: Node, other: list[Node], at: Place) -> None:
        """Two unions: every pair that some value can satisfy, where that is not too much."""
        mine: list[Node] = into["anyOf"]
        self.products += 1
        few = len(mine) * len(other) <= _MOST_PAIRS and self.products <= _MOST_PRODUCTS
        if not few or not self.references.take(_bytes_of_pairs(mine, other)):
            self.losses.name(at, "anyOf")
            return
        pairs = [pair for one in mine for two in other if (pair := self._pair(one, two, at))]
        if pairs:
            into["anyOf"] = distinct(pairs)
        else:
            self.losses.name(at, "anyOf")

    def _pair(self, one: Node, two: Node, at: Place) -> Node | None:
        """What satisfies both; None when nothing can."""
        if not disjoint(one, two):
            both = copy.deepcopy(one)
            self.join(both, copy.deepcopy(two), at.under("anyOf[]"))
            return both
        return None


def _bytes_of_pairs(mine: list[Node], other: list[Node]) -> int:
    return len(dumps(mine)) * len(other) + len(dumps(other)) * len(mine)


def disjoint(one: Node, two: Node) -> bool:
    """Whether types or choices show that no value satisfies both (property constants too)."""
    types = one.get("type"), two.get("type")
    if types[0] and types[1] and not meet(types[0], types[1]):
        return True
    choices = one.get("enum"), two.get("enum")
    if choices[0] and choices[1]:
        keys = {value_key(choice) for choice in choices[0]}
        return not any(value_key(choice) in keys for choice in choices[1])
    shared = one.get("properties", {}).keys() & two.get("properties", {}).keys()
    needed = shared & (one.get("required", {}).keys() | two.get("required", {}).keys())
    objects = one.get("type") == ["object"] or two.get("type") == ["object"]
    return objects and any(disjoint(one["properties"][n], two["properties"][n]) for n in needed)


def _tuple(node: Node) -> list[Node]:
    members: list[Node] = node.get("prefixItems", [])
    return members


def restrict(node: Node, types: list[str]) -> Node:
    """The part of ``node`` that speaks of ``types``, without what speaks only of others."""
    own = {key for name in types for key in KEYWORDS_OF.get(name, ())}
    kept = {key: value for key, value in node.items() if key in own or key not in TYPED}
    return kept | {"type": types}


def drop_idle(node: Node) -> None:
    """Remove what speaks only of types that ``node`` does not allow."""
    if "type" in node:
        own = {key for name in node["type"] for key in KEYWORDS_OF.get(name, ())}
        for key in node.keys() & (TYPED - own):
            del node[key]
