"""The root of a tool's schema: always one object, because arguments are one.

A union of objects becomes an object that knows the properties of all of them.
"""

from server.gemini.schema.conjunction import Conjunction, Node, distinct
from server.gemini.schema.places import ROOT
from server.gemini.schema.words import KEYWORDS_OF, TYPED, says_any
from server.gemini.schema.writer import Writer
from server.gemini.types import Json

_COMBINING = frozenset(
    (
        *("anyOf", "oneOf", "allOf", "not", "if", "dependentRequired", "dependentSchemas"),
        *("required", "minProperties", "propertyNames"),
    )
)
"""Keywords by which a tool says that it takes something, even where it names no property."""


def write_arguments(writer: Writer, node: Node, schema: Json) -> Json | None:
    """The schema to send; None for a tool that takes nothing (Google refuses an object without
    properties: "should be non-empty for OBJECT type"), and for one that takes no object: then the
    root is named."""
    writer.settle(node, ROOT)
    if not _may_be_object(node) or _speaks_of_others(node):
        writer.losses.name(ROOT)
        return None
    types = node.get("type", ())
    if not says_any(types) and set(types) - {"object", "null"}:
        writer.losses.name(ROOT, "type")
    branches = [b for b in node.pop("anyOf", ()) if _may_be_object(b)]
    combined = bool(schema.keys() & _COMBINING) and not (_unions(schema) and not branches)
    node["type"] = ["object"]
    if branches:
        writer.losses.name(ROOT, "anyOf" if "anyOf" in schema else "oneOf")
        _take_in(node, branches, writer.conjunction)
    if not node.get("properties") and not _is_map(node):
        if not combined or node.get("additionalProperties") is False:
            if "enum" in node:
                writer.losses.name(ROOT, "enum")
            return None
        node["additionalProperties"] = {}
    return writer.write(node)


def _may_be_object(node: Node) -> bool:
    """Whether an object may be what ``node`` allows."""
    if "object" not in node.get("type", ["object"]):
        return False
    if "anyOf" in node and not any(map(_may_be_object, node["anyOf"])):
        return False
    return "enum" not in node or any(isinstance(choice, dict) for choice in node["enum"])


def _speaks_of_others(node: Node) -> bool:
    """Whether a node without a type has keywords, and none of them is about objects."""
    said = node.keys() & TYPED
    return "type" not in node and bool(said) and not said & {*KEYWORDS_OF["object"]}


def _unions(schema: Json) -> bool:
    return "anyOf" in schema or "oneOf" in schema


def _is_map(node: Node) -> bool:
    return isinstance(node.get("additionalProperties"), dict)


def _take_in(root: Node, branches: list[Node], joins: Conjunction) -> None:
    """All properties of all branches, and the names that every branch requires."""
    found: dict[str, list[Node]] = {}
    for branch in branches:
        for name, sub in branch.get("properties", {}).items():
            found.setdefault(name, []).append(sub)
    properties: Node = root.setdefault("properties", {})
    for name, subs in found.items():
        union: Node = {"anyOf": distinct(subs)} if all(subs) else {}
        if name not in properties:
            properties[name] = union
        elif len(subs) == len(branches):
            joins.join(properties[name], union, ROOT.under("properties", name))
    required = [branch.get("required", {}) for branch in branches]
    for name in min(required, key=len):
        if all(name in names for names in required):
            root.setdefault("required", {})[name] = None
    rests = [branch.get("additionalProperties", {}) for branch in branches]
    if "additionalProperties" not in root and any("additionalProperties" in b for b in branches):
        schemas = [rest for rest in rests if rest is not False]
        root["additionalProperties"] = (
            False if not schemas else {"anyOf": schemas} if all(schemas) else {}
        )
