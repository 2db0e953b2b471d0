"""Responses ``input`` items -> Gemini contents, in the client's order.

As with chat, only what the items say is settled here; merging turns, pairing results with calls and
filling gaps is the repair of ``gemini/history.py``. An item of an unknown type is left out, never
refused: new ones appear every month. Sources: openai-python 3.54 ``response_input_item.py``;
protocol notes ``openai.md`` section 9.2.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from server.dialects.fields import Fields, wrong
from server.dialects.media import Incoming, Speaker, newest_turn
from server.dialects.openai.answer import dump
from server.dialects.openai.content import (
    function_call,
    function_response,
    read_arguments,
    read_parts,
    read_picture,
    read_text,
    text_response,
)
from server.dialects.responses.envelope import unseal
from server.dialects.responses.tools import CUSTOM, FUNCTION, KINDS, Kind, ToolBox
from server.gemini.types import Call, CarriedSignature, Content, Json, new_id

_SYSTEM = ("system", "developer")
_CALLS = {kind.item: kind for kind in KINDS}
_OUTPUTS = {kind.output: kind for kind in KINDS}
_WITH_TOOLS = ("additional_tools", "tool_search_output")
"""Items that bring tools along: Codex for models it knows, and the result of a client's search."""


def item_type(item: Json) -> object:
    """The type of an item; the plain form of a message, and a bare reference, may leave it out."""
    if (kind := item.get("type")) is not None:
        return kind
    if "role" in item or "content" in item:
        return "message"
    return "item_reference" if "id" in item else None


def tools_in(items: Iterable[Fields]) -> Iterator[Fields]:
    """The tools that are declared by items."""
    for item in items:
        if item_type(item.raw) in _WITH_TOOLS:
            yield from item.objects("tools")


def read_items(items: Iterable[Fields], box: ToolBox, call: Call) -> None:
    """Fill the call's contents, system instruction and carried signatures."""
    told = list(items)
    newest = newest_turn(len(told), lambda index: _speaker(told[index].raw))
    reader = _Reader(call, box, Incoming(call.downloads, call.pictures, call.past_media))
    for index, item in enumerate(told):
        reader.incoming.earlier = index < newest
        reader.read(item)
    call.dropped += tuple(reader.incoming.left_out)
    call.request["contents"] = reader.contents
    if reader.system:
        call.request["systemInstruction"] = Content(role="user", parts=reader.system)


def _speaker(item: Json) -> Speaker:
    kind = item_type(item)
    if kind == "message":
        return "user" if item.get("role") == "user" else "other"
    return "result" if isinstance(kind, str) and kind in _OUTPUTS else "other"


@dataclass(slots=True)
class _Reader:
    """Reads items one after the other."""

    call: Call
    box: ToolBox
    incoming: Incoming
    contents: list[Content] = field(default_factory=list)
    system: list[Json] = field(default_factory=list)

    def read(self, item: Fields) -> None:
        kind = item.get("type") or item_type(item.raw)
        item.known("id", "status", "object", "phase")  # around what an item of an answer says
        if not isinstance(kind, str):
            item.leave_out()
        elif kind in _READERS:
            _READERS[kind](self, item)
        elif kind in _CALLS:
            self._call(item, _CALLS[kind])
        elif kind in _OUTPUTS:
            self._result(item, _OUTPUTS[kind])
        elif kind not in (*_WITH_TOOLS, "item_reference"):
            item.leave_out()

    def message(self, item: Fields) -> None:
        """Notes before the first turn are the system instruction; later ones keep their place."""
        role = item.required_string("role")
        if role in _SYSTEM:
            text = read_text(item, "content")
            if not self.contents:
                self.system += [{"text": text}] if text else []
            elif text:
                self._say("user", {"text": f"<system_message>\n{text}\n</system_message>"})
        elif role in ("user", "assistant"):
            if role == "user" and not self.incoming.earlier and item.get("content") is None:
                code = "missing_required_parameter"
                raise wrong(item.at("content"), "Field required", code=code)
            parts = read_parts(item, "content", self.incoming)
            if parts:
                gemini_role = "model" if role == "assistant" else "user"
                self.contents.append(Content(role=gemini_role, parts=parts))
        else:
            known = "system, developer, user, assistant"
            raise wrong(item.at("role"), f"Unknown role {role!r}; known: {known}")

    def reasoning(self, item: Fields) -> None:
        """Thoughts are never replayed; the signatures they carry go where they belong."""
        item.known("summary", "content")
        envelope = unseal(item.get("encrypted_content"))
        if envelope is None:
            return
        for call_id, signature in envelope.calls.items():
            self.call.carried[call_id] = CarriedSignature(signature, envelope.model)
        # Only the model that signed a text knows its signature; an alias may mean any model.
        if envelope.text and envelope.model == self.call.model and self.contents:
            last = self.contents[-1]
            if last["role"] == "model" and "text" in last["parts"][-1]:
                last["parts"][-1]["thoughtSignature"] = envelope.text

    def hosted(self, item: Fields) -> None:
        """A tool that another provider ran itself, told as a call with its result."""
        item.known("server_label", "container_id", "approval_request_id")
        name = item.string("name") or str(item.raw.get("type")).removesuffix("_call")
        call_id = item.string("id") or new_id("call_")
        given = item.get("arguments") if "arguments" in item.raw else {"code": item.get("code")}
        result = item.get("output") or item.get("error") or item.get("outputs")
        sent = self.call.tool_names.send(name)
        self._say("model", function_call(call_id, sent, read_arguments(given)))
        self._say("user", text_response(call_id, sent, _as_text(result)))

    def search(self, item: Fields) -> None:
        """A search of an earlier answer: what it found stands in the text."""
        item.known("action")

    def image(self, item: Fields) -> None:
        """An image the model made: it must see it again to work on it."""
        item.known("action", "background", "quality", "revised_prompt", "size")
        result = item.string("result")
        if result:
            mime = f"image/{item.string('output_format') or 'png'}"
            url = f"data:{mime};base64,{result}"
            part = item.changed(image_url=url, file_id=None)
            self._say("model", *self.incoming.usable(item.path, read_picture, part, self.incoming))

    def _call(self, item: Fields, kind: Kind) -> None:
        name = kind.tool or item.required_string("name")
        declared = self.box.declared_name(name, item.string("namespace"))
        sent = self.call.tool_names.send(declared)
        self._say("model", function_call(_call_id(item), sent, kind.read(item)))

    def _result(self, item: Fields, kind: Kind) -> None:
        name = kind.tool or item.string("name")
        sent = self.call.tool_names.send(self.box.declared_name(name)) if name else ""
        if kind in (FUNCTION, CUSTOM):
            part = function_response(_call_id(item), sent, item, "output", self.incoming)
        else:
            part = text_response(_call_id(item), sent, _result_text(item, kind))
        self._say("user", part)

    def _say(self, role: str, *parts: Json) -> None:
        if parts:
            self.contents.append(Content(role=role, parts=list(parts)))


_READERS: dict[str, Callable[[_Reader, Fields], None]] = {
    "message": _Reader.message,
    "reasoning": _Reader.reasoning,
    "mcp_call": _Reader.hosted,
    "code_interpreter_call": _Reader.hosted,
    "image_generation_call": _Reader.image,
    "web_search_call": _Reader.search,
}


def _call_id(item: Fields) -> str:
    return item.string("call_id") or item.string("id") or ""


def _result_text(item: Fields, kind: Kind) -> str:
    """What the result of a tool with a form of its own says."""
    if kind.output == "tool_search_output":
        names = [tool.string("name") or "?" for tool in item.objects("tools")]
        return f"Tools found: {', '.join(names) or 'none'}"
    failed = "failed: " if item.raw.get("status") == "failed" else ""
    return failed + _as_text(item.get("output"))


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump(value).decode()


def stored_item(item: Json) -> Json:
    """An item as it is kept and listed: with an id, a status, and its content in parts."""
    kind = str(item_type(item))
    owner = _CALLS.get(kind)
    prefix = owner.prefix if owner else _PREFIXES.get(kind, "item_")
    whole: Json = {"id": new_id(prefix), "status": "completed"}
    whole |= {name: value for name, value in item.items() if value is not None}
    whole["type"] = kind
    content = item.get("content")
    if kind == "message":
        plain = "output_text" if item.get("role") == "assistant" else "input_text"
        parts = [{"type": plain, "text": content}] if isinstance(content, str) else content or []
        whole["content"] = [_stored_part(part) for part in parts]
    return whole


_PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call_output": "fco_",
    "custom_tool_call_output": "ctco_",
}


def _stored_part(part: object) -> object:
    if not isinstance(part, dict):
        return {"type": "input_text", "text": part}
    usual: dict[object, Json] = {
        "input_image": {"detail": "auto"},
        "output_text": {"annotations": []},
    }
    return usual.get(part["type"], {}) | part if isinstance(part.get("type"), str) else part
