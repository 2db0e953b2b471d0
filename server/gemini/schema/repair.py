"""What to send instead when Google has refused a schema: only what it complained about, plainer.

Google names the place in most of its refusals (``tools[0].function_declarations[3].parameters``,
or the tool's name in quotes), and in some nothing: then every schema is made plain.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from server.gemini.schema.simple import is_deep, simplify
from server.gemini.types import GenerateRequest, Json

_INDEX = re.compile(r"function_?declarations\[(\d{1,6})\]", re.I)
_QUOTED = re.compile(r"[`'\"]([A-Za-z_][A-Za-z0-9_.:-]{0,127})[`'\"]")
_ANSWER = re.compile(r"response_?(?:json_?)?schema", re.I)
_DEEP = re.compile(r"\b(?:depth|deep|deeply|nest(?:ed|ing))\b", re.I)
_DECLARATIONS = "functionDeclarations"
_PARAMETERS = "parametersJsonSchema"
_RESPONSE = "responseJsonSchema"

ANSWER = -1
"""Stands for the schema of the answer among the indices of declarations."""


TOOLS_NAMED = "tools.functionDeclarations.parametersJsonSchema"
ANSWER_NAMED = "generationConfig.responseJsonSchema"


@dataclass(frozen=True, slots=True)
class Repair:
    """A request in plainer words than before; false when there were none."""

    request: GenerateRequest
    changed: frozenset[int] = frozenset()
    """Indices of the declarations whose schemas became plainer, and ``ANSWER``."""
    aimed: bool = False
    """Google named what it refused."""

    def __bool__(self) -> bool:
        return bool(self.changed)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Gemini's fields that say less than before."""
        tools = (TOOLS_NAMED,) if self.changed - {ANSWER} else ()
        return tools + ((ANSWER_NAMED,) if ANSWER in self.changed else ())


def repair(request: GenerateRequest, refusal: str) -> Repair:
    """``request`` after Google said ``refusal``: what it named plainer, else everything."""
    named = _named(request, refusal)
    return (plainer(request, named) if named else None) or plainer(request)


def plainer(request: GenerateRequest, only: set[int] | None = None) -> Repair:
    """A copy with simple schemas; ``only``: those of these declarations (and of ``ANSWER``)."""
    changed: set[int] = set()

    def simple(holder: Json, key: str, index: int) -> Json:
        schema = holder.get(key)
        if not isinstance(schema, dict) or (only is not None and index not in only):
            return holder
        plain = simplify(schema)
        if plain == schema:
            return holder
        changed.add(index)
        return {**holder, key: plain}

    copy: GenerateRequest = {**request}
    if "tools" in request:
        copy["tools"] = [
            {**tool, _DECLARATIONS: [simple(d, _PARAMETERS, i) for i, d in enumerate(declared)]}
            if (declared := tool.get(_DECLARATIONS))
            else tool
            for tool in request["tools"]
        ]
    if "generationConfig" in request:
        copy["generationConfig"] = simple(request["generationConfig"], _RESPONSE, ANSWER)
    return Repair(copy, frozenset(changed), only is not None) if changed else Repair(request)


def schemas(request: GenerateRequest) -> Iterator[tuple[int, Json]]:
    """Every schema of a request, with its index (or ``ANSWER``)."""
    for tool in request.get("tools", ()):
        for index, declaration in enumerate(tool.get(_DECLARATIONS, ())):
            if isinstance(schema := declaration.get(_PARAMETERS), dict):
                yield index, schema
    schema = request.get("generationConfig", {}).get(_RESPONSE)
    if isinstance(schema, dict):
        yield ANSWER, schema


def _named(request: GenerateRequest, refusal: str) -> set[int]:
    """The declarations (or ``ANSWER``) that a refusal speaks of."""
    if indices := {int(index) for index in _INDEX.findall(refusal)}:
        return indices
    quoted = set(_QUOTED.findall(refusal))
    for tool in request.get("tools", ()):
        for index, declaration in enumerate(tool.get(_DECLARATIONS, ())):
            if declaration.get("name") in quoted:
                indices.add(index)
    if not indices and _ANSWER.search(refusal):
        indices.add(ANSWER)
    if not indices and _DEEP.search(refusal):
        indices = {index for index, schema in schemas(request) if is_deep(schema)}
    return indices
