"""The strong pass, for a schema that Google has refused: flat, without unions and rare keywords.

No declared type changes, because what the model writes goes to the client as it is. A constraint
that cannot stand is told in the description. Input and output are cleaned schemas.
"""

from collections.abc import Sequence

from server.gemini.schema.conjunction import distinct
from server.gemini.schema.hints import Hints, described, hint, one_of
from server.gemini.schema.words import KEYWORDS_OF, list_of
from server.gemini.types import Json

DEEPEST = 12
""""maximum schema depth exceeded" may have been the trouble."""
_KEPT = ("type", "required", "minItems", "maxItems", "minimum", "maximum")
_TOLD = ("pattern", "format", "minLength", "maxLength", "minProperties", "maxProperties")


def simplify(schema: Json, depth: int = 0) -> Json:
    """``schema`` in the plainest words; applied to its own result it changes nothing."""
    if depth >= DEEPEST:
        return _outline(schema)
    node = _without_union(schema) if "anyOf" in schema else schema
    out = {key: node[key] for key in _KEPT if key in node}
    hints = Hints()
    for key in _TOLD:
        if key in node:
            hint(hints, key, node[key])
    choices = list_of(node.get("enum"))
    if choices and node.get("type") == "string":
        out["enum"] = choices
    elif choices:
        hints["enum"] = one_of(choices)
    _children(node, out, hints, depth + 1)
    if text := described(node.get("description"), *hints.values()):
        out["description"] = text
    return out


def _children(node: Json, out: Json, hints: Hints, depth: int) -> None:
    properties: Json = node.get("properties", {})
    extra = node.get("additionalProperties")
    if properties:
        out["properties"] = {name: simplify(sub, depth) for name, sub in properties.items()}
        if isinstance(extra, dict):
            hint(hints, "additionalProperties", extra)
    elif extra is not None:
        out["additionalProperties"] = simplify(extra, depth) if isinstance(extra, dict) else extra
    if "prefixItems" in node:
        members = [*node["prefixItems"], node.get("items", {})]
        out["items"] = simplify(_either(members), depth)
        hint(hints, "prefixItems", node["prefixItems"])
    elif "items" in node:
        out["items"] = simplify(node["items"], depth)


def _outline(schema: Json) -> Json:
    """What is left of a schema below the last level."""
    types = types_of(schema)
    if types is None:
        return {}
    out: Json = {"type": types[0] if len(types) == 1 else types}
    if "array" in types:
        out["items"] = {}
    if "object" in types:
        out["additionalProperties"] = True
    return out


def is_deep(schema: Json, depth: int = 0) -> bool:
    """Whether a cleaned schema has levels below the last one."""
    below = [*schema.get("properties", {}).values(), *schema.get("prefixItems", ())]
    below += [*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")]
    return depth > DEEPEST or any(is_deep(sub, depth + 1) for sub in below if isinstance(sub, dict))


def types_of(schema: Json) -> list[str] | None:
    """Every type that a cleaned schema declares, those of its branches included; None: any."""
    declared = schema.get("type")
    if declared is not None:
        return declared if isinstance(declared, list) else [declared]
    if "anyOf" not in schema:
        return None
    found = [types_of(branch) for branch in schema["anyOf"]]
    if any(types is None for types in found):
        return None
    return list(dict.fromkeys(name for types in found for name in types or ()))


def _without_union(schema: Json) -> Json:
    """Alternatives as one schema of all their types: what they say of different types stands side
    by side, what they say of one type is widened."""
    own = {key: value for key, value in schema.items() if key != "anyOf"}
    union = _either(schema["anyOf"])
    told = [union.get("description", ""), own.get("description", "")]
    merged = union | own
    if text := described(own.get("description"), *told[:1]):
        merged["description"] = text
    if "properties" in union and "properties" in own:
        merged["properties"] = union["properties"] | own["properties"]
    return merged


def _either(members: Sequence[Json]) -> Json:
    """One schema, without a union at its root, for what may be any of ``members``."""
    flat = [_without_union(m) if "anyOf" in m else m for m in members]
    flat = distinct(flat)
    if len(flat) == 1:
        return flat[0]
    by_type: dict[str, list[Json]] = {}
    for member in flat:
        types = types_of(member)
        if types is None:
            return {}
        for name in types:
            by_type.setdefault(name, []).append(member)
    if "number" in by_type and (whole := by_type.pop("integer", None)):
        by_type["number"] += whole
    out: Json = {}
    for name, of_type in by_type.items():
        out |= _of_type(name, of_type)
    types = list(by_type)
    choices = [value for member in flat for value in list_of(member.get("enum"))]
    if choices and (text := one_of(choices)):
        out["description"] = text
    return out | {"type": types[0] if len(types) == 1 else types}


def _of_type(name: str, members: list[Json]) -> Json:
    """What is said of one type by whoever allows it."""
    if len(members) == 1:
        return {key: members[0][key] for key in KEYWORDS_OF.get(name, ()) if key in members[0]}
    if name == "array":
        prefixes = [item for member in members for item in member.get("prefixItems", ())]
        return {"items": _either([*prefixes, *(m.get("items", {}) for m in members)])}
    return _object(members) if name == "object" else {}


def _object(members: list[Json]) -> Json:
    found: dict[str, list[Json]] = {}
    for member in members:
        for name, sub in member.get("properties", {}).items():
            found.setdefault(name, []).append(sub)
    if not found:
        return {"additionalProperties": True}
    required = [set(member.get("required", ())) for member in members]
    everywhere = set.intersection(*required)
    out: Json = {"properties": {name: _either(subs) for name, subs in found.items()}}
    if kept := [name for name in members[0].get("required", ()) if name in everywhere]:
        out["required"] = kept
    return out
