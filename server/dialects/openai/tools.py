"""OpenAI tools and tool_choice -> Gemini function declarations, built-in tools and toolConfig.

Chat nests (``{"type": "function", "function": {"name"}}``) what Responses writes flat
(``{"type": "function", "name"}``); both forms are read. Sources: OpenAI API reference, ``tools``
and ``tool_choice``; Gemini API reference, ``Tool`` and ``FunctionCallingConfig``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from server.dialects.fields import Fields, wrong
from server.dialects.json_schema import declare_arguments
from server.gemini.names import ToolNames
from server.gemini.schema import MAX_DESCRIPTION_CHARS
from server.gemini.types import Call, Json

_BUILT_IN = {
    "google_search": "googleSearch",
    "googleSearch": "googleSearch",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "code_execution": "codeExecution",
    "codeExecution": "codeExecution",
    "url_context": "urlContext",
    "urlContext": "urlContext",
}
"""Names under which clients ask for Gemini's own tools, as ``type`` or as the entry's only key."""

_INPUT: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The one argument of a custom (freeform) tool."""

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}


@dataclass(slots=True)
class Tools:
    """What a request offers the model."""

    declarations: dict[str, Json] = field(default_factory=dict)
    """Client's name -> Gemini function declaration; of two tools with one name the first counts."""
    built_in: dict[str, Json] = field(default_factory=dict)
    custom: set[str] = field(default_factory=set)
    """Names of the freeform tools, which are called with text instead of JSON."""
    config: Json | None = None
    """The ``functionCallingConfig`` that ``tool_choice`` asks for."""

    def put_into(self, call: Call) -> None:
        """Write the tools into the call's request."""
        entries: list[Json] = [{name: value} for name, value in self.built_in.items()]
        if self.declarations:
            entries.insert(0, {"functionDeclarations": list(self.declarations.values())})
            if self.config is not None:
                call.request["toolConfig"] = {"functionCallingConfig": self.config}
        if entries:
            call.request["tools"] = entries


def read_tools(entries: Iterable[Fields], names: ToolNames) -> Tools:
    """The tools of ``entries``; one that Gemini has no counterpart for is left out."""
    tools = Tools()
    for entry in entries:
        built_in = _built_in(entry)
        kind = entry.string("type")
        if built_in is not None:
            tools.built_in[built_in] = {}
        elif kind in (None, "function"):
            _declare(tools, entry.object("function") or entry, names)
        elif kind == "custom":
            _declare_custom(tools, entry.object("custom") or entry, names)
        else:
            entry.leave_out()
    return tools


def read_functions(entries: Iterable[Fields], names: ToolNames) -> Tools:
    """The legacy ``functions`` list."""
    tools = Tools()
    for entry in entries:
        _declare(tools, entry, names)
    return tools


def read_choice(fields: Fields, name: str, tools: Tools, names: ToolNames) -> None:
    """Settle ``tool_choice`` (or the legacy ``function_call``) in ``tools``.

    Raises ``BadRequestError`` when it forces a tool that was not declared.
    """
    value = fields.get(name)
    if value is None or not tools.declarations:
        return
    if isinstance(value, str):
        tools.config = {"mode": _mode(value, fields.at(name))}
        return
    choice = fields.wrap(value, fields.at(name))
    kind = choice.string("type") or "function"
    if kind in _BUILT_IN:
        tools.config = {"mode": "AUTO"}
    elif kind == "allowed_tools":
        _allow(choice.object("allowed_tools") or choice, tools, names)
    else:
        chosen = _chosen(choice, tools)
        tools.config = {"mode": "ANY", "allowedFunctionNames": [names.send(chosen)]}


def _built_in(entry: Fields) -> str | None:
    kind = entry.string("type")
    if kind is None and len(entry.raw) == 1:
        kind = next(iter(entry.raw))
        if kind in _BUILT_IN:
            entry.object(kind)
    return _BUILT_IN.get(kind or "")


def _declare(tools: Tools, function: Fields, names: ToolNames) -> None:
    name = function.required_string("name")
    declaration = _declaration(function, names.send(name))
    declaration = declare_arguments(declaration, function, "parameters")
    tools.declarations.setdefault(name, declaration)


def _declare_custom(tools: Tools, custom: Fields, names: ToolNames) -> None:
    """A freeform tool becomes a function with one string; a grammar can only be described."""
    name = custom.required_string("name")
    declaration = _declaration(custom, names.send(name))
    form = custom.object("format")
    if form and form.string("type") == "grammar":
        grammar = form.object("grammar") or form
        rule = f"`input` must follow this {grammar.string('syntax') or ''} grammar:"
        lines = (declaration["description"], rule, grammar.string("definition") or "")
        declaration["description"] = "\n".join(line for line in lines if line)
    declaration["parametersJsonSchema"] = _INPUT
    tools.declarations.setdefault(name, declaration)
    tools.custom.add(name)


def _declaration(tool: Fields, sent: str) -> Json:
    description = tool.string("description") or ""
    return {"name": sent, "description": description[:MAX_DESCRIPTION_CHARS]}


def _mode(word: str, path: str) -> str:
    if word not in _MODES:
        raise wrong(path, f"Input should be one of {', '.join(_MODES)}, or an object")
    return _MODES[word]


def _chosen(choice: Fields, tools: Tools) -> str:
    inner = choice.object("function") or choice.object("custom") or choice
    name = inner.required_string("name")
    if name not in tools.declarations:
        raise wrong(inner.at("name"), f"No tool named {name!r} is declared", code="invalid_value")
    return name


def _allow(allowed: Fields, tools: Tools, names: ToolNames) -> None:
    """``allowed_tools``: a subset the model may (``auto``) or must (``required``) choose from.

    Gemini takes a list of names with mode ANY only, so for ``auto`` the other tools are withheld.
    """
    mode = _mode(allowed.string("mode") or "auto", allowed.at("mode"))
    chosen = [_chosen(tool, tools) for tool in allowed.objects("tools") if not _built_in(tool)]
    if mode == "ANY":
        sent = [names.send(name) for name in chosen]
        tools.config = {"mode": "ANY", "allowedFunctionNames": sent}
    else:
        tools.declarations = {name: tools.declarations[name] for name in chosen}
        tools.config = {"mode": mode}
