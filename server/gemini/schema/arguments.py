"""The root of a tool's schema: always one object, because arguments are one.

A union of objects becomes an object that knows the properties of all of them.
"""

from server.gemini.schema.conjunction import Conjunction, Node, distinct
from server.gemini.schema.places import ROOT
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
    properties: "should be non-empty for OBJECT type")."""
    writer.settle(node, ROOT)
    if "object" not in node.get("type", ["object"]):
        return None
    branches = [b for b in node.pop("anyOf", ()) if "object" in b.get("type", ["object"])]
    combined = bool(schema.keys() & _COMBINING) and not (_unions(schema) and not branches)
    node.pop("enum", None)
    node["type"] = ["object"]
    if branches:
        writer.losses.name(ROOT, "anyOf" if "anyOf" in schema else "oneOf")
        _take_in(node, branches, writer.conjunction)
    if not node.get("properties") and not _is_map(node):
        if not combined or node.get("additionalProperties") is False:
            return None
        node["additionalProperties"] = {}
    return writer.write(node)


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
