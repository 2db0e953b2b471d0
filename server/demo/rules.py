"""What Google refuses in a generate request: tools, schemas, settings, size.

Each rule raises ``GoogleError`` in Google's own words as far as public reports show them. The
conversation itself is judged in ``turns.py``. Limits: dossier section 6 (Gemini API reference,
*GenerationConfig*; model pages; issue reports).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator

from server.demo import turns
from server.demo.catalogue import UNARY_OUTPUT, Model
from server.demo.errors import GoogleError, Json, invalid
from server.demo.messages import BUILT_IN_TOOLS
from server.demo.proto import MOST_VIOLATIONS, snake
from server.demo.signatures import GEMINI_API, Signer
from server.demo.tokens import count_request

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_JSON_MIME = "application/json"
_MIME_TYPES = ("text/plain", _JSON_MIME, "text/x.enum", "application/xml", "application/yaml")
_DEEPEST = 32
"""Levels of nesting a JSON Schema may have, references followed."""


def check(
    request: Json, model: Model, *, streams: bool = True, signer: Signer = GEMINI_API
) -> None:
    """Refuse ``request`` (already read as a message) if Google would."""
    if model.kind == "interactions":
        raise invalid("This model only supports Interactions API.")
    _check_tools(request, model)
    _check_generation_config(request, model)
    _check_output_limit(request, model, streams=streams)
    _check_answer_format(request, model)
    _check_thinking(request.get("generationConfig", {}).get("thinkingConfig", {}), model)
    _check_safety(request)
    turns.check(request, model, signer)
    if "cachedContent" in request:
        raise GoogleError(403, "CachedContent not found (or permission denied)")
    check_length(count_request(request).total, model)


def check_length(tokens: int, model: Model) -> None:
    if tokens > model.input_limit:
        raise invalid(
            f"The input token count ({tokens}) exceeds the maximum number of tokens allowed "
            f"({model.input_limit})."
        )


# -- tools --------------------------------------------------------------------------------------


def declarations(request: Json) -> list[Json]:
    """All function declarations of a request."""
    return [d for tool in request.get("tools", ()) for d in tool.get("functionDeclarations", ())]


def built_in(request: Json) -> list[str]:
    """Names of the built-in tools a request asks for."""
    return [name for tool in request.get("tools", ()) for name in BUILT_IN_TOOLS if name in tool]


def _check_tools(request: Json, model: Model) -> None:
    tools = request.get("tools", [])
    for i, tool in enumerate(tools):
        if not any(tool.get(name) is not None for name in BUILT_IN_TOOLS) and not tool.get(
            "functionDeclarations"
        ):
            raise invalid(
                f"* GenerateContentRequest.tools[{i}].tool_type: required one_of 'tool_type' "
                "must have one initialized field"
            )
    if sum("functionDeclarations" in tool for tool in tools) > 1:
        raise invalid("Multiple tools are supported only when they are all search tools.")
    declared = declarations(request)
    for i, declaration in enumerate(declared):
        _check_declaration(declaration, f"tools[0].function_declarations[{i}]")
    names = [d["name"] for d in declared]
    for name, times in Counter(names).items():
        if times > 1:
            raise invalid(f"Duplicate function declaration found: {name}")
    if declared and built_in(request):
        _check_mix(request, model)
    _check_calling(request, names)


def _check_mix(request: Json, model: Model) -> None:
    """Built-in tools beside functions: never before Gemini 3, later only with a flag."""
    if not model.signs:
        raise invalid("Tool use with function calling is unsupported")
    if not request.get("toolConfig", {}).get("includeServerSideToolInvocations"):
        raise invalid(
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in "
            "tools with Function calling."
        )


def _check_declaration(declaration: Json, path: str) -> None:
    name = declaration.get("name", "")
    if not _NAME.fullmatch(name):
        raise invalid(
            f"* GenerateContentRequest.{path}.name: [Invalid function name. Must start with a "
            "letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), "
            "dots (.), colons (:), or dashes (-), with a maximum length of 64.]"
        )
    for typed, free in (("parameters", "parametersJsonSchema"), ("response", "responseJsonSchema")):
        if typed in declaration and free in declaration:
            raise invalid(f"{path}: only one of {typed} and {free} may be set.")
        check_schema(declaration.get(typed), f"{path}.{typed}")
        check_json_schema(declaration.get(free), f"{path}.{free}")
    for name in ("parameters", "parametersJsonSchema"):
        kind = declaration.get(name, {}).get("type")
        if isinstance(kind, str) and kind.upper() != "OBJECT":
            raise invalid(f"{path}.{name}: functionDeclaration schema should be of type OBJECT.")


def _check_calling(request: Json, names: list[str]) -> None:
    calling = request.get("toolConfig", {}).get("functionCallingConfig")
    if calling is None:
        return
    if not names:
        raise invalid("Function calling config is set without function_declarations.")
    allowed = calling.get("allowedFunctionNames", [])
    if allowed and calling.get("mode") not in ("ANY", "VALIDATED"):
        raise invalid("Allowed function names should only be set when the mode is ANY.")
    for name in allowed:
        if name not in names:
            raise invalid(f"Allowed function name '{name}' is not declared.")


# -- schemas ------------------------------------------------------------------------------------


def check_schema(schema: Json | None, path: str) -> None:
    """The ``Schema`` message, beyond its field names (those ``proto.py`` has checked)."""
    if schema is None:
        return
    kind = schema.get("type")
    properties = schema.get("properties", {})
    if kind == "OBJECT" and not properties and "additionalProperties" not in schema:
        raise invalid(
            f"* GenerateContentRequest.{path}.properties: should be non-empty for OBJECT type"
        )
    if kind == "ARRAY" and "items" not in schema:
        raise invalid(f"* GenerateContentRequest.{path}.items: missing field.")
    if "enum" in schema and (kind != "STRING" or "" in schema["enum"]):
        raise invalid(f"* GenerateContentRequest.{path}.enum: only allowed for STRING type")
    if kind == "STRING" and schema.get("format", "enum") not in ("enum", "date-time"):
        raise invalid(
            f"* GenerateContentRequest.{path}.format: only 'enum' and 'date-time' are supported "
            "for STRING type"
        )
    for i, name in enumerate(schema.get("required", ())):
        if name not in properties:
            raise invalid(f"* GenerateContentRequest.{path}.required[{i}]: property is not defined")
    for name, inner in properties.items():
        check_schema(inner, f"{path}.properties[{name}]")
    check_schema(schema.get("items"), f"{path}.items")
    for i, inner in enumerate(schema.get("anyOf", ())):
        check_schema(inner, f"{path}.any_of[{i}]")


def check_json_schema(schema: object, path: str) -> None:
    """A free JSON Schema: any keyword of JSON Schema, but it must end, its references must lead
    somewhere, every array says what is in it, and ``nullable`` is OpenAPI's word."""
    if schema is not None:
        if not isinstance(schema, dict):
            raise invalid(f"{path}: a JSON Schema must be an object.")
        _check_node(schema, snake(path))
        _measure(schema, schema, 0)


_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")


def _check_node(node: object, path: str) -> None:
    if not isinstance(node, dict):
        return
    if "nullable" in node:
        raise invalid(
            f"Invalid JSON payload received. Unknown name \"nullable\" at '{path}': Cannot find "
            "field."
        )
    kinds = node.get("type")
    if "array" in (kinds if isinstance(kinds, list) else [kinds]) and "items" not in node:
        raise invalid(f"* GenerateContentRequest.{path}.items: missing field.")
    for inner_path, inner in _subschemas(node, path):
        _check_node(inner, inner_path)


def _subschemas(node: Json, path: str) -> Iterator[tuple[str, object]]:
    for word in _ONE:
        yield f"{path}.{snake(word)}", node.get(word)
    for word in _SEVERAL:
        listed = node.get(word)
        for i, inner in enumerate(listed if isinstance(listed, list) else ()):
            yield f"{path}.{snake(word)}[{i}]", inner
    for word in _NAMED:
        named = node.get(word)
        for name, inner in (named if isinstance(named, dict) else {}).items():
            yield f"{path}.{snake(word)}[{name}]", inner


def _measure(node: object, root: Json, depth: int) -> None:
    if depth > _DEEPEST:
        raise invalid("Request contains an invalid argument: maximum schema depth exceeded.")
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        _measure(resolve(node["$ref"], root), root, depth + 1)
    for inner in _children(node):
        _measure(inner, root, depth + 1)


def _children(node: object) -> Iterator[object]:
    if isinstance(node, dict):
        yield from (v for k, v in node.items() if k not in ("$defs", "definitions", "$ref"))
    elif isinstance(node, list):
        yield from node


def resolve(reference: str, root: Json) -> Json:
    """What ``#/$defs/Name`` points at. 400 when nothing is there."""
    node: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        node = node.get(name) if name and isinstance(node, dict) else node if not name else None
    if not reference.startswith("#") or not isinstance(node, dict):
        raise invalid(f"Request contains an invalid argument: cannot resolve $ref '{reference}'.")
    return node


# -- settings -----------------------------------------------------------------------------------

_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "topK": (1, 64),
    "logprobs": (0, 20),
}


def _check_generation_config(request: Json, model: Model) -> None:
    config = request.get("generationConfig", {})
    for name, (low, high) in _RANGES.items():
        if not low <= config.get(name, low) <= high:
            raise invalid(
                f"Unable to submit request because it has a {name} value of {config[name]} but "
                f"the supported range is from {low} (inclusive) to {high} (inclusive)."
            )
    if config.get("presencePenalty") or config.get("frequencyPenalty"):
        raise invalid("Penalty is not enabled for this model")
    if config.get("candidateCount", 1) != 1:
        raise invalid("Multiple candidates is not enabled for this model")
    _check_stop_sequences(config.get("stopSequences", []))
    if "logprobs" in config and not config.get("responseLogprobs"):
        raise invalid("logprobs is only supported when response_logprobs is true.")
    if config.get("responseLogprobs") and "preview" in model.id:
        raise invalid(f"Logprobs is not enabled for models/{model.id}")
    _check_modalities(config.get("responseModalities", ["TEXT"]), model)


def _check_modalities(asked: list[str], model: Model) -> None:
    if model.kind == "tts" and asked != ["AUDIO"]:
        raise invalid(
            f"The requested combination of response modalities ({', '.join(asked)}) is not "
            f"supported by the model. models/{model.id} accepts the following combination of "
            "response modalities:\n* AUDIO\n"
        )
    if model.kind not in ("tts", "image") and asked != ["TEXT"]:
        raise invalid("This model only supports text output.")


def _check_output_limit(request: Json, model: Model, *, streams: bool) -> None:
    """4.x counts all hops of a long answer together; one unary answer is held to half a hop."""
    most = request.get("generationConfig", {}).get("maxOutputTokens", 1)
    hops = model.family.continues
    limit = model.input_limit if hops else model.output_limit
    if not 1 <= most <= limit:
        raise invalid(
            f"Unable to submit request because it has a maxOutputTokens value of {most} but the "
            f"supported range is from 1 (inclusive) to {limit + 1} (exclusive)."
        )
    if hops and not streams and most > UNARY_OUTPUT and "continuationToken" not in request:
        raise invalid(
            f"max_output_tokens must not exceed {UNARY_OUTPUT} for non-streaming requests."
        )


def _check_stop_sequences(stops: list[str]) -> None:
    if len(stops) > 5:
        raise invalid(
            f"Unable to submit request because it has {len(stops)} stop sequences but the "
            "supported range is from 0 (inclusive) to 6 (exclusive)."
        )
    if "" in stops:
        raise invalid("Unable to submit request because a stop sequence is empty.")


def _check_answer_format(request: Json, model: Model) -> None:
    config = request.get("generationConfig", {})
    mime = config.get("responseMimeType", "text/plain")
    if mime not in _MIME_TYPES:
        raise invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are "
            "`text/plain`, `application/json`, `application/xml`, `application/yaml` and "
            "`text/x.enum`."
        )
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if len(schemas) > 1:
        raise invalid("Only one of response_schema and response_json_schema may be set.")
    if schemas and mime not in (_JSON_MIME, "text/x.enum"):
        raise invalid(
            "* GenerateContentRequest.generation_config.response_schema: only supported with "
            "response mime type `application/json` or `text/x.enum`."
        )
    check_schema(config.get("responseSchema"), "generation_config.response_schema")
    check_json_schema(config.get("responseJsonSchema"), "generation_config.response_json_schema")
    if mime == _JSON_MIME and not model.signs:
        if declarations(request):
            raise invalid(
                "Function calling with a response mime type: 'application/json' is unsupported"
            )
        if built_in(request):
            raise invalid("Tool use with a response mime type: 'application/json' is unsupported")


_LEVEL_ORDER = ("minimal", "medium", "low", "high", "xhigh")
"""As Google lists them: "medium, low, high"."""


def _check_thinking(config: Json, model: Model) -> None:
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if budget is not None:
        _check_budget(budget, model)
    if level is not None and not model.levels:
        raise invalid("Thinking level is not supported for this model.")
    if level is not None and level not in model.levels:
        allowed = ", ".join(sorted(map(str.lower, model.levels), key=_LEVEL_ORDER.index))
        raise invalid(
            f"'{level.lower()}' is not a supported thinking level for this model. Allowed values "
            f"are: {allowed}."
        )
    if config.get("includeThoughts") and budget == 0:
        raise invalid(
            "Unable to submit request because Thinking_config.include_thoughts is only enabled "
            "when thinking is enabled."
        )


def _check_budget(budget: int, model: Model) -> None:
    if model.budget is None:
        raise invalid(
            "Thinking budget is not supported for this model. Use thinking level instead."
        )
    if budget == 0 and not model.can_stop_thinking:
        raise invalid(
            "Unable to submit request because the model does not support setting "
            "thinking_budget to 0."
        )
    low, high = model.budget
    if budget not in (-1, 0) and not low <= budget <= high:
        raise invalid(
            f"The thinking budget {budget} is invalid. Please choose a value between {low} and "
            f"{high}."
        )


def _check_safety(request: Json) -> None:
    categories = [setting.get("category") for setting in request.get("safetySettings", ())]
    if len(set(categories)) != len(categories):
        raise invalid(f"Duplicate safety settings: {json.dumps(categories[:MOST_VIOLATIONS])}")
