"""Responses tools -> Gemini functions, and the items in which their calls are told.

Every tool that the client runs becomes a function for Gemini. What differs is how a call of it is
written: each ``Kind`` is one row of that table, read in histories and told in answers. Tools of a
namespace are declared as ``<namespace>__<name>``. Sources: OpenAI API reference, *Responses*,
``tools``; openai-python 3.54 ``types/responses``; protocol notes ``openai.md`` section 9.3.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from server.dialects.fields import Fields, wrong
from server.dialects.openai.answer import dump
from server.dialects.openai.content import read_arguments
from server.dialects.openai.tools import Tools, read_choice, read_tools
from server.gemini.names import ToolNames
from server.gemini.types import Json


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of calling a tool of the client."""

    item: str
    """The type of the item that tells a call."""
    output: str
    """The type of the item that brings its result."""
    prefix: str
    """How the ids of these items begin."""
    tell: Callable[[Json], Json]
    """The arguments as the item's own fields."""
    read: Callable[[Fields], Json]
    """The item's own fields as arguments."""
    text: str | None = None
    """The field that is streamed as text, if there is one."""
    events: str = ""
    """How the types of the events that stream it begin."""
    tool: str | None = None
    """The tool's name where the item has none."""


@dataclass(frozen=True, slots=True)
class Called:
    """How the client knows a function that was declared to Gemini."""

    kind: Kind
    name: str
    namespace: str | None = None

    def item(self, call_id: str, args: Json) -> Json:
        """The item that tells a call, without ``id`` and ``status``."""
        named: Json = {"type": self.kind.item, "call_id": call_id}
        if self.kind.tool is None:
            named["name"] = self.name
        if self.namespace is not None:
            named["namespace"] = self.namespace
        return named | self.kind.tell(args)


def _free_text(args: Json) -> Json:
    """What a freeform tool was called with."""
    given = args.get("input")
    return {"input": given if isinstance(given, str) else dump(args).decode()}


def _words(value: object) -> list[str]:
    """A command line as words; one in a single string is left to a shell."""
    if isinstance(value, list):
        return [word if isinstance(word, str) else dump(word).decode() for word in value]
    return ["bash", "-lc", str(value or "")]


def _lines(value: object) -> list[str]:
    return _words(value) if isinstance(value, list) else [str(value or "")]


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _tell_local_shell(args: Json) -> Json:
    action: Json = {"type": "exec", "command": _words(args.get("command")), "env": {}}
    if isinstance(args.get("working_directory"), str):
        action["working_directory"] = args["working_directory"]
    return {"action": action | {"timeout_ms": _positive(args.get("timeout_ms"))}}


def _tell_shell(args: Json) -> Json:
    action = {"commands": _lines(args.get("commands")), "max_output_length": None}
    return {"action": action | {"timeout_ms": _positive(args.get("timeout_ms"))}}


def _tell_patch(args: Json) -> Json:
    kind = args.get("type")
    operation: Json = {"path": str(args.get("path", ""))}
    if kind == "delete_file":
        return {"operation": {"type": kind, **operation}}
    kind = "create_file" if kind == "create_file" else "update_file"
    return {"operation": {"type": kind, **operation, "diff": str(args.get("diff", ""))}}


def _inside(name: str) -> Callable[[Fields], Json]:
    """Reads arguments from an object inside the item, without what is not set."""

    def read(item: Fields) -> Json:
        inner = item.whole(name)
        return {k: v for k, v in inner.items() if v is not None} if inner else {}

    return read


FUNCTION = Kind(
    *("function_call", "function_call_output", "fc_"),
    tell=lambda args: {"arguments": dump(args).decode()},
    read=lambda item: read_arguments(item.get("arguments")),
    text="arguments",
    events="response.function_call_arguments",
)
CUSTOM = Kind(
    *("custom_tool_call", "custom_tool_call_output", "ctc_"),
    tell=_free_text,
    read=lambda item: {"input": item.string("input") or ""},
    text="input",
    events="response.custom_tool_call_input",
)
KINDS = (
    FUNCTION,
    CUSTOM,
    Kind(
        *("local_shell_call", "local_shell_call_output", "lsh_", _tell_local_shell),
        read=_inside("action"),
        tool="local_shell",
    ),
    Kind(
        *("shell_call", "shell_call_output", "sh_", _tell_shell),
        read=_inside("action"),
        tool="shell",
    ),
    Kind(
        *("apply_patch_call", "apply_patch_call_output", "apc_", _tell_patch),
        read=_inside("operation"),
        tool="apply_patch",
    ),
    Kind(
        *("tool_search_call", "tool_search_output", "tsc_"),
        tell=lambda args: {"arguments": args, "execution": "client"},
        read=lambda item: read_arguments(item.get("arguments")),
        tool="tool_search",
    ),
)

_BY_TOOL = {kind.tool: kind for kind in KINDS if kind.tool}
_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_MS: Json = {"type": "integer", "description": "Time limit in milliseconds"}
_HOSTED: dict[str, tuple[str, Json]] = {
    "local_shell": (
        "Runs a command on the user's computer.",
        {"command": _TEXTS, "working_directory": _TEXT, "timeout_ms": _MS},
    ),
    "shell": (
        "Runs shell commands on the user's computer, each in a shell of its own.",
        {"commands": _TEXTS, "timeout_ms": _MS},
    ),
    "apply_patch": (
        "Creates, updates or deletes a file. `diff` is in V4A format: lines begin with ' ', '+' or "
        "'-', and '@@' stands before each hunk.",
        {
            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            "path": _TEXT,
            "diff": _TEXT,
        },
    ),
}
"""Tools that OpenAI describes to its models itself: description and parameters, of which the first
is required."""


@dataclass(slots=True)
class ToolBox:
    """The tools of one request."""

    tools: Tools = field(default_factory=Tools)
    called: dict[str, Called] = field(default_factory=dict)
    """Name of the declared function -> what the client calls it."""

    def declared_name(self, name: str, namespace: str | None = None) -> str:
        """The function that stands for a tool; clients may leave a clear namespace out."""
        if namespace:
            return f"{namespace}__{name}"
        if name in self.called:
            return name
        named = [full for full, called in self.called.items() if called.name == name]
        return named[0] if len(named) == 1 else name


def read_tool_box(entries: Iterable[Fields], names: ToolNames) -> ToolBox:
    """All tools of a request; of two with one name the first counts."""
    box = ToolBox()
    flat = [tool for entry in entries for tool in _flattened(entry, box.called)]
    box.tools = read_tools(iter(flat), names)
    return box


def _flattened(entry: Fields, called: dict[str, Called]) -> Iterator[Fields]:
    """What ``read_tools`` understands; how the client calls each tool goes to ``called``."""
    kind = entry.string("type")
    if kind == "namespace":
        namespace = entry.required_string("name")
        for child in entry.objects("tools"):
            if _plain_kind(child) is None:
                child.leave_out()
            else:
                yield _named(child, namespace, called)
    elif _plain_kind(entry) is not None:
        yield _named(entry, None, called)
    elif kind in _HOSTED:
        called.setdefault(kind, Called(_BY_TOOL[kind], kind))
        description, properties = _HOSTED[kind]
        schema = {"type": "object", "properties": properties, "required": [*properties][:1]}
        yield Fields.of(
            {"name": kind, "description": description, "parameters": schema}, entry.path
        )
    elif kind == "tool_search":
        # Deferred tools are all declared at once: nothing is left to search but the client's own.
        if entry.string("execution") == "client":
            called.setdefault(kind, Called(_BY_TOOL[kind], kind))
            yield entry.changed(type="function", name=kind)
    elif kind is not None and kind.startswith("web_search"):
        if entry.get("external_web_access") is False:
            entry.leave_out()
        else:
            yield Fields.of({"type": "web_search"}, entry.path)
    else:
        yield entry


def _plain_kind(entry: Fields) -> Kind | None:
    """Functions and freeform tools, also in the nested form of chat."""
    kind = entry.string("type")
    if kind == "custom":
        return CUSTOM
    return FUNCTION if kind == "function" or (kind is None and "name" in entry.raw) else None


def _named(entry: Fields, namespace: str | None, called: dict[str, Called]) -> Fields:
    kind = _plain_kind(entry) or FUNCTION
    inner = entry.object("function") or entry.object("custom") or entry
    name = inner.required_string("name")
    declared = f"{namespace}__{name}" if namespace else name
    called.setdefault(declared, Called(kind, name, namespace))
    return inner.changed(type=entry.raw.get("type"), name=declared)


def read_tool_choice(fields: Fields, box: ToolBox, names: ToolNames) -> object:
    """Settle ``tool_choice`` in ``box``; returns it as the response repeats it.

    Raises ``BadRequestError`` when it forces a tool that was not declared, or cannot be had here.
    """
    value = fields.get("tool_choice")
    if isinstance(value, dict):
        chosen: object = _declared_choice(fields.wrap(value, fields.at("tool_choice")), box)
    else:
        chosen = value
    read_choice(Fields.of({"tool_choice": chosen}), "tool_choice", box.tools, names)
    return _repeated_choice(value)


def _declared_choice(choice: Fields, box: ToolBox) -> Json:
    """The choice with the names of declared functions, as ``read_choice`` wants it."""
    kind = choice.string("type") or "function"
    if kind == "allowed_tools":
        inner = choice.object("allowed_tools") or choice
        allowed = [tool for tool in inner.objects("tools") if _can_be_chosen(tool)]
        return {**inner.raw, "type": kind, "tools": [_declared_choice(t, box) for t in allowed]}
    if not _can_be_chosen(choice):
        problem = f"Tools of the type {kind} are not offered here"
        raise wrong(choice.path, problem, code="unsupported_parameter")
    if kind.startswith("web_search"):
        return {"type": "web_search"}
    if kind in _BY_TOOL:
        return {"type": "function", "name": kind}
    inner = choice.object("function") or choice.object("custom") or choice
    name = inner.required_string("name")
    return {"type": kind, "name": box.declared_name(name, choice.string("namespace"))}


def _can_be_chosen(choice: Fields) -> bool:
    kind = choice.string("type") or "function"
    return kind in ("function", "custom", *_BY_TOOL) or kind.startswith("web_search")


def _repeated_choice(value: object) -> object:
    if value in ("auto", "none", "required"):
        return value
    if isinstance(value, dict):
        kind, name, tools = value.get("type"), value.get("name"), value.get("tools")
        if kind in ("function", "custom") and isinstance(name, str):
            return {"type": kind, "name": name}
        if kind in ("shell", "apply_patch"):
            return {"type": kind}
        if kind == "allowed_tools" and isinstance(tools, list):
            mode = "required" if value.get("mode") == "required" else "auto"
            return {"type": kind, "mode": mode, "tools": tools}
    return "auto"


def repeated_tools(entries: Iterable[Fields]) -> list[Json]:
    """``tools`` as the response repeats them: known fields of known types only, for strict SDKs."""
    return [tool for entry in entries for tool in _repeated(entry)]


def _repeated(entry: Fields) -> Iterator[Json]:
    kind = entry.string("type")
    if kind == "namespace":
        tools = repeated_tools(entry.objects("tools"))
        yield _kept(entry, "name") | {
            "type": kind,
            "description": entry.string("description") or "",
            "tools": [tool for tool in tools if tool["type"] in ("function", "custom")],
        }
    elif _plain_kind(entry) is CUSTOM:
        inner = entry.object("custom") or entry
        form = inner.object("format")
        repeated = _kept(inner, "name", "description")
        if form and form.raw.get("type") == "grammar" and form.raw.get("syntax") in _SYNTAXES:
            definition = form.string("definition") or ""
            grammar = {"type": "grammar", "syntax": form.raw["syntax"], "definition": definition}
            repeated["format"] = grammar
        yield {"type": "custom", **repeated}
    elif _plain_kind(entry) is FUNCTION:
        inner = entry.object("function") or entry
        strict = inner.raw.get("strict")
        repeated = _kept(inner, "name", "description", "parameters")
        yield {
            "type": "function",
            "parameters": None,
            **repeated,
            "strict": strict if isinstance(strict, bool) else None,
        }
    elif kind in _BY_TOOL:
        yield {"type": kind}
    elif kind is not None and kind.startswith("web_search"):
        yield {"type": "web_search"}


_SYNTAXES: Sequence[object] = ("lark", "regex")


def _kept(entry: Fields, *names: str) -> Json:
    return {name: entry.raw[name] for name in names if entry.raw.get(name) is not None}
