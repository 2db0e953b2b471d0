"""Nodes -> the JSON Schema that Gemini reads.

Null stays allowed in this language's own words: ``"type": ["string", "null"]`` where that says it
all, a branch ``{"type": "null"}`` of ``anyOf`` otherwise. Google takes strings and numbers in
``enum``; other choices stand in the description beside their type. An array always has ``items``.
"""

from dataclasses import dataclass

from server.gemini.schema.conjunction import (
    Conjunction,
    Node,
    distinct,
    drop_idle,
    meet,
    restrict,
    value_key,
)
from server.gemini.schema.hints import Hints, described, one_of
from server.gemini.schema.places import ROOT, Losses, Place
from server.gemini.schema.words import KEYWORDS_OF, MAX_DEPTH, NAMES, number, says_any
from server.gemini.types import Json

_TEXTS = ("title", "description", "hints")
_NULL: Node = {"type": ["null"]}
_DEEPEST = MAX_DEPTH - 2
"""A type and its ``items`` may still follow."""
_ARRAY = KEYWORDS_OF["array"]


class Settled(list[Node]):
    """A union that has been settled: what is nested is not looked through at every level."""


_SETTLED = Settled()


@dataclass(slots=True)
class Writer:
    """Writes the nodes of one document; each is used up."""

    losses: Losses
    conjunction: Conjunction

    def write(self, node: Node, at: Place = ROOT, depth: int = 0) -> Json:
        """The node as JSON Schema."""
        self.settle(node, at)
        if depth >= _DEEPEST:
            self.losses.name(at)
            node = {"type": node["type"]} if len(node.get("type", ())) == 1 else {}
        if says_any(node.get("type", [])):
            del node["type"]
        if "anyOf" in node:
            return self._union(node, at, depth)
        if "enum" in node:
            return self._choices(node, at, depth)
        types = node.get("type", [])
        others = [name for name in types if name != "null"]
        if len(others) > 1:
            parts: list[Node] = [{"type": [name]} for name in types]
            return self._alternatives(node, parts, at, depth)
        return self._plain(node, at, depth)

    def settle(self, node: Node, at: Place) -> None:
        """The union of ``node``: flat, each branch once, without what its types rule out; one that
        leaves no choice dissolves."""
        if node.get("properties"):
            node.setdefault("type", ["object"])
        while not isinstance(node.get("anyOf", _SETTLED), Settled):
            branches: list[Node] = []
            for branch in node.pop("anyOf"):
                self.settle(branch, at.under("anyOf[]"))
                drop_idle(branch)
                branches += branch["anyOf"] if branch.keys() == {"anyOf"} else [branch]
            types: list[str] = node.get("type", [])
            possible = [b for b in branches if _is_possible(b, types)]
            for branch in possible:
                _narrow(branch, types)
            if not possible:
                self.losses.name(at, "anyOf")
            elif all(possible):
                branches = distinct(_choices_together(possible))
                if not self._one(node, branches, at):
                    node["anyOf"] = Settled(branches)

    def _one(self, node: Node, branches: list[Node], at: Place) -> bool:
        """Take a branch that has no alternative (but null) into ``node``."""
        nulls = [branch for branch in branches if branch == _NULL]
        others = [branch for branch in branches if branch != _NULL]
        if not others:
            self.conjunction.join(node, nulls[0], at)
            return True
        other = others[0]
        if len(others) > 1 or (nulls and ("type" not in other or other.keys() & {"enum", "anyOf"})):
            return False
        if nulls:
            other["type"] = list(dict.fromkeys([*other["type"], "null"]))
        if "description" in node and (text := other.pop("description", None)):
            node.setdefault("hints", Hints()).setdefault(text, text)
        if "anyOf" in other:
            other["anyOf"] = [*other["anyOf"]]  # not settled yet for the types of ``node``
        self.conjunction.join(node, other, at)
        return True

    def _union(self, node: Node, at: Place, depth: int) -> Json:
        """A node with alternatives: choices and several types beside them go where they belong."""
        types = node.get("type", [])
        if "enum" in node:
            return self.write(self._settled_choices(node, at), at, depth)
        if len([name for name in types if name != "null"]) > 1:
            del node["type"]
            for branch in node["anyOf"]:
                self.conjunction.join(branch, {"type": [*types]}, at)
        under = at.under("anyOf[]")
        branches = _flat([self.write(b, under, depth + 1) for b in node.pop("anyOf")])
        plain = self._plain(node, at, depth)
        if len(branches) > 1 and all(branches):
            return _or_null(plain, branches) or plain | {"anyOf": branches}
        # What told the alternatives apart could not be said; one may be anything.
        known = all(branches) and not branches[0].keys() & plain.keys()
        return branches[0] | plain if known else plain

    def _settled_choices(self, node: Node, at: Place) -> Node:
        """Choices beside alternatives: of these only the types count."""
        branches: list[Node] = node.pop("anyOf")
        if any(branch.keys() - {"type"} for branch in branches):
            self.losses.name(at, "anyOf")
        if all("type" in branch for branch in branches):
            types = list(dict.fromkeys(name for branch in branches for name in branch["type"]))
            self.conjunction.join(node, {"type": types}, at)
        return node

    def _alternatives(self, node: Node, parts: list[Node], at: Place, depth: int) -> Json:
        """``node`` as a union: each part with what the node says of its type."""
        texts = {key: node[key] for key in _TEXTS if key in node}
        rest = {key: value for key, value in node.items() if key not in (*_TEXTS, "type", "enum")}
        branches = [
            self._plain(restrict(rest, part["type"]) | part, at, depth + 1) for part in parts
        ]
        return self._plain(texts, at, depth) | {"anyOf": branches}

    def _choices(self, node: Node, at: Place, depth: int) -> Json:
        """``enum``, by kinds: one kind keeps its place, several (or null beside it) are a union."""
        types = node.get("type")
        kinds: dict[str, list[object]] = {}
        choices = _distinct_values(node.pop("enum"))
        for choice in choices:
            if kind := _kind(choice, types):
                kinds.setdefault(kind, []).append(choice)
        if "integer" in kinds and "number" in kinds:
            del kinds["integer"]
            kinds["number"] = [c for c in choices if _kind(c, types) in ("integer", "number")]
        if not kinds:
            self.losses.name(at, "enum")
            return self.write(node, at, depth)
        parts = [self._part(kind, values, at) for kind, values in kinds.items()]
        standing = any("enum" in part for part in parts)
        if len(parts) == 1 or ("null" in kinds and len(parts) == 2 and not standing):
            said = next(part for part in parts if part["type"] != ["null"] or len(parts) == 1)
            hints = said.pop("hints", {})
            node["hints"] = {**node.get("hints", {}), **hints}
            return self._plain(node | said | {"type": list(kinds)}, at, depth)
        return self._alternatives(node, parts, at, depth)

    def _part(self, kind: str, values: list[object], at: Place) -> Node:
        """The choices of one type."""
        if kind == "null" or (kind == "boolean" and len(values) == 2):
            return {"type": [kind]}
        if all(map(_can_stand, values)):
            return {"type": [kind], "enum": values}
        self.losses.name(at, "enum")
        said = one_of(values)
        return {"type": [kind], "hints": {said: said} if said else {}}

    def _plain(self, node: Node, at: Place, depth: int) -> Json:
        """A node of one type (and null), its children written."""
        drop_idle(node)
        types = node.get("type", [])
        if "array" in types or any(key in node for key in _ARRAY):
            node.setdefault("items", {})
        out: Json = {}
        for key, value in node.items():
            match key:
                case "properties":
                    written = {
                        name: self.write(sub, at.under(key, name), depth + 1)
                        for name, sub in value.items()
                    }
                    out |= {key: written} if written else {}
                case "items":
                    out[key] = self.write(value, at.under(key), depth + 1)
                case "prefixItems":
                    under = at.under("prefixItems[]")
                    out[key] = [self.write(sub, under, depth + 1) for sub in value]
                case "additionalProperties" if value is not False:
                    out[key] = self.write(value, at.under(key), depth + 1) or True
                case "type":
                    out[key] = value[0] if len(value) == 1 else sorted(value, key="null".__eq__)
                case _:
                    out[key] = value
        return self._finished(out, at)

    def _finished(self, out: Json, at: Place) -> Json:
        text = described(out.get("description"), *out.pop("hints", {}).values())
        if text:
            out["description"] = text
        for key in NAMES:
            names = list(out.pop(key, ()))
            kept = [name for name in names if name in out.get("properties", {})]
            if len(kept) < len(names) and key == "required":
                self.losses.name(at, key)
            if kept:
                out[key] = kept
        return out


def _or_null(plain: Json, branches: list[Json]) -> Json | None:
    """Null beside a branch that turned out to be of one type, in the short form."""
    others = [branch for branch in branches if branch != {"type": "null"}]
    if len(others) != 1 or plain.keys() - {"title", "description"}:
        return None
    other = others[0]
    if "type" not in other or "enum" in other or "anyOf" in other:
        return None
    types = other["type"] if isinstance(other["type"], list) else [other["type"], "null"]
    text = described(plain.get("description"), other.get("description", ""))
    return other | plain | {"type": types} | ({"description": text} if text else {})


def _is_possible(branch: Node, types: list[str]) -> bool:
    """Whether a branch allows anything beside ``types`` (empty: any)."""
    own: list[str] = branch.get("type", [])
    both = meet(types, own) if types and own else types or own
    if own and not both:
        return False
    return "enum" not in branch or any(_kind(c, both or None) for c in branch["enum"])


def _narrow(branch: Node, types: list[str]) -> None:
    """Leaves out of a possible branch what ``types`` beside it (empty: any) do not allow."""
    own: list[str] = branch.get("type", [])
    both = meet(own, types) if types and own else types or own
    if len(own) > 1:
        branch["type"] = both
        drop_idle(branch)
    if "enum" in branch and both:
        branch["enum"] = [c for c in branch["enum"] if _kind(c, both)]


def _flat(branches: list[Json]) -> list[Json]:
    flat: list[Json] = []
    for branch in branches:
        flat += branch["anyOf"] if branch.keys() == {"anyOf"} else [branch]
    return distinct(flat)


def _choices_together(branches: list[Node]) -> list[Node]:
    """Branches that are nothing but choices of the same type, as one."""
    first: dict[str, Node] = {}
    kept: list[Node] = []
    for branch in branches:
        same = str(branch.get("type")) if branch.keys() <= {"type", "enum"} else None
        if same is None or "enum" not in branch:
            kept.append(branch)
        elif same in first:
            first[same]["enum"] += branch["enum"]
        else:
            first[same] = branch
            kept.append(branch)
    return kept


def _distinct_values(values: list[object]) -> list[object]:
    first: dict[object, object] = {}
    for value in values:
        first.setdefault(value_key(value), value)
    return list(first.values())


def _can_stand(value: object) -> bool:
    """Whether Google takes a value in ``enum``: numbers, and strings that are not empty."""
    return value != "" if isinstance(value, str) else number(value) is not None


def _kind(value: object, types: list[str] | None) -> str | None:
    """The type of a choice, as it was declared where it was; None when that is not allowed."""
    kind = {str: "string", bool: "boolean", list: "array", dict: "object"}.get(type(value), "null")
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = value == int(value) if abs(value) < 1e300 else False
        kind = "integer" if whole and "number" not in (types or ()) else "number"
    if types is None or kind in types or (kind == "integer" and "number" in types):
        return kind
    return None
