"""Anthropic tool entries -> Gemini tools, and ``tool_choice`` -> ``toolConfig``.

Anthropic's client tools without a schema of their own (bash, text editor, memory, computer) become
functions that take the documented input; its server tools become Gemini's built-in ones.
Sources: Anthropic SDK 2.12 ``types/tool_*_param.py``; its *Tool use* documentation.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.dialects.fields import Fields, wrong
from server.dialects.json_schema import declare_arguments
from server.gemini.names import ToolNames
from server.gemini.schema import clean
from server.gemini.types import Json

PLACEHOLDER = "DeferredToolPlaceholder"
"""Claude Code's stand-in for the tools it has not loaded yet; never meant for the model."""

_STRING: Json = {"type": "string"}
_INTEGER: Json = {"type": "integer"}
_POINT: Json = {"type": "array", "items": _INTEGER, "minItems": 2, "maxItems": 2}


@dataclass(frozen=True, slots=True)
class ToolChange:
    """A ``tool_addition`` or ``tool_removal`` block met in the conversation."""

    name: str
    added: bool
    definition: Fields | None = None
    """The entry of a tool that is declared in the conversation itself."""


@dataclass(slots=True)
class Tools:
    """What a request's tools come to."""

    entries: list[Json] = field(default_factory=list)
    """Gemini's ``tools``: one entry of all function declarations, then the built-in tools."""
    config: Json | None = None
    """Gemini's ``toolConfig``."""
    parallel: bool = True
    search_only: bool = False
    """Web search is all there is: the answer is to be told as Anthropic's search tool would."""


@dataclass(frozen=True, slots=True)
class _Choice:
    kind: str = "auto"
    name: str | None = None
    parallel: bool = True


@dataclass(frozen=True, slots=True)
class _Tool:
    """One entry: a function declaration, a built-in Gemini tool, or neither."""

    name: str
    declaration: Json | None = None
    builtin: str | None = None
    deferred: bool = False

    @property
    def is_search_tool(self) -> bool:
        """Whether the model can load deferred tools with it (Claude Code's ``ToolSearch``)."""
        named_so = "toolsearch" in self.name.replace("_", "").lower()
        return named_so and self.declaration is not None and not self.deferred


def read_tools(
    fields: Fields, loaded: Iterable[str], changes: Iterable[ToolChange], names: ToolNames
) -> Tools:
    """Read ``tools`` and ``tool_choice``.

    ``loaded`` names the deferred tools that the conversation has seen; ``changes`` are applied in
    their order.
    """
    choice = _read_choice(fields)
    declared = {tool.name: tool for tool in (_read_tool(t, names) for t in fields.objects("tools"))}
    offered = _offered(declared, {*loaded, choice.name}, changes, names)
    if choice.kind == "tool" and choice.name not in offered:
        raise wrong("", f"Tool '{choice.name}' not found in provided tools")
    declarations = [tool.declaration for tool in offered.values() if tool.declaration]
    builtins = dict.fromkeys(tool.builtin for tool in offered.values() if tool.builtin)
    entries: list[Json] = [{"functionDeclarations": declarations}] if declarations else []
    entries += [{builtin: {}} for builtin in builtins]
    return Tools(
        entries,
        _tool_config(choice, offered, names) if declarations else None,
        choice.parallel,
        search_only=not declarations and list(builtins) == ["googleSearch"],
    )


def _offered(
    declared: dict[str, _Tool],
    loaded: set[str | None],
    changes: Iterable[ToolChange],
    names: ToolNames,
) -> dict[str, _Tool]:
    """The tools the model may use now. Without a search tool, nothing can be left for later."""
    searchable = any(tool.is_search_tool for tool in declared.values())
    offered = {
        name: tool
        for name, tool in declared.items()
        if name != PLACEHOLDER and not (searchable and tool.deferred and name not in loaded)
    }
    for change in changes:
        tool = _read_tool(change.definition, names) if change.definition else None
        tool = tool or declared.get(change.name)
        if not change.added:
            offered.pop(change.name, None)
        elif tool is not None:
            offered[tool.name] = tool
    return offered


def _read_choice(fields: Fields) -> _Choice:
    """``tool_choice``; the plain words ``auto``, ``any`` and ``none`` are taken as well."""
    if isinstance(word := fields.get("tool_choice"), str):
        return _Choice(word)
    choice = fields.object("tool_choice")
    if choice is None:
        return _Choice()
    kind = choice.required_string("type")
    name = choice.required_string("name") if kind == "tool" else None
    return _Choice(kind, name, not choice.boolean("disable_parallel_tool_use"))


def _tool_config(choice: _Choice, offered: dict[str, _Tool], names: ToolNames) -> Json | None:
    match choice.kind:
        case "any":
            calling: Json = {"mode": "ANY"}
        case "tool" if choice.name and offered[choice.name].declaration:
            calling = {"mode": "ANY", "allowedFunctionNames": [names.send(choice.name)]}
        case "none":
            calling = {"mode": "NONE"}
        case _:
            return None
    return {"functionCallingConfig": calling}


_BUILTIN = {
    "web_search_": "googleSearch",
    "web_fetch_": "urlContext",
    "code_execution_": "codeExecution",
}


def _read_tool(entry: Fields, names: ToolNames) -> _Tool:
    kind = entry.string("type") or "custom"
    deferred = entry.boolean("defer_loading")
    for prefix, builtin in _BUILTIN.items():
        if kind.startswith(prefix):
            name = entry.string("name") or kind
            return _Tool(name, builtin=builtin, deferred=deferred)
    for prefix, make in _CLIENT_TOOLS.items():
        if kind.startswith(prefix):
            name = entry.required_string("name")
            description, schema = make(entry)
            declaration = _declare(names.send(name), description, clean(schema))
            return _Tool(name, declaration, deferred=deferred)
    if kind != "custom" and entry.get("input_schema") is None:
        entry.leave_out()
        return _Tool(entry.string("name") or kind)
    name = entry.required_string("name")
    if entry.get("input_schema") is None:
        raise wrong(entry.at("input_schema"), "Field required")
    description = entry.string("description") or ""
    declaration = _declare(names.send(name), description, None)
    declaration = declare_arguments(declaration, entry, "input_schema")
    return _Tool(name, declaration, deferred=deferred)


def _declare(name: str, description: str, parameters: Json | None) -> Json:
    declaration: Json = {"name": name, "description": description}
    if parameters is not None:
        declaration["parametersJsonSchema"] = parameters
    return declaration


def _object(required: tuple[str, ...] = (), **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def _words(*values: str) -> Json:
    return {"type": "string", "enum": list(values)}


def _bash(_entry: Fields) -> tuple[str, Json]:
    description = "Run a command in a persistent bash session; restart=true begins a new session."
    return description, _object(command=_STRING, restart={"type": "boolean"})


def _text_editor(entry: Fields) -> tuple[str, Json]:
    undo = ("undo_edit",) if entry.string("type") in _WITH_UNDO else ()
    return "View, create and edit text files.", _object(
        ("command", "path"),
        command=_words("view", "create", "str_replace", "insert", *undo),
        path=_STRING,
        file_text=_STRING,
        old_str=_STRING,
        new_str=_STRING,
        insert_line=_INTEGER,
        insert_text=_STRING,
        view_range={"type": "array", "items": _INTEGER},
    )


_WITH_UNDO = ("text_editor_20241022", "text_editor_20250124")
"""Later versions of the text editor tool lost this command."""


def _memory(_entry: Fields) -> tuple[str, Json]:
    return "Read and write files under /memories, kept between conversations.", _object(
        ("command",),
        command=_words("view", "create", "str_replace", "insert", "delete", "rename"),
        path=_STRING,
        file_text=_STRING,
        old_str=_STRING,
        new_str=_STRING,
        insert_line=_INTEGER,
        insert_text=_STRING,
        old_path=_STRING,
        new_path=_STRING,
        view_range={"type": "array", "items": _INTEGER},
    )


def _computer(entry: Fields) -> tuple[str, Json]:
    width, height = entry.integer("display_width_px"), entry.integer("display_height_px")
    size = f" The screen is {width} x {height} pixels." if width and height else ""
    return f"Use the mouse, the keyboard and the screen of a computer.{size}", _object(
        ("action",),
        action={**_STRING, "description": "e.g. screenshot, left_click, type, key, scroll, wait"},
        coordinate=_POINT,
        start_coordinate=_POINT,
        text=_STRING,
        scroll_direction=_words("up", "down", "left", "right"),
        scroll_amount=_INTEGER,
        duration={"type": "number"},
        region={"type": "array", "items": _INTEGER, "minItems": 4, "maxItems": 4},
    )


_CLIENT_TOOLS: dict[str, Callable[[Fields], tuple[str, Json]]] = {
    "bash_20": _bash,
    "text_editor_20": _text_editor,
    "memory_20": _memory,
    "computer_20": _computer,
}
"""Type prefix (the date follows) -> description and input schema."""
