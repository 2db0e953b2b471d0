"""Chat ``messages`` -> Gemini contents, in the client's order.

Only what the messages say is settled here. Merging turns, putting results beside their calls and
filling gaps is the repair of ``gemini/fit.py``. Source: OpenAI API reference, *Create chat
completion*, ``messages``; what clients add to it: protocol notes ``openai.md`` sections 2, 4 and 7.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from server.dialects.fields import Fields, wrong
from server.dialects.openai_content import (
    function_call,
    function_response,
    read_arguments,
    read_parts,
    read_text,
)
from server.gemini.types import Call, CarriedSignature, Content, Json

_SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_LONGEST_SIGNATURE = 1 << 20

_LITELLM_MARK = "__thought__"
"""LiteLLM appends ``__thought__<signature>`` to tool-call ids, in calls and in results alike."""


def read_messages(fields: Fields, call: Call) -> None:
    """Fill the call's contents, system instruction and carried signatures from ``messages``."""
    messages = list(fields.objects("messages"))
    if not messages:
        problem = "At least one message is required"
        raise wrong(fields.at("messages"), problem, code="missing_required_parameter")
    roles = [message.required_string("role") for message in messages]
    leading = next((i for i, role in enumerate(roles) if role not in _SYSTEM), len(roles))
    system = _texts(messages[:leading])
    history = _History(call, _answered(messages, roles))
    contents = [
        Content(role=_SPEAKERS[role], parts=parts)
        for message, role in zip(messages[leading:], roles[leading:], strict=True)
        if (parts := history.parts(message, role))
    ]
    if contents:
        if system:
            call.request["systemInstruction"] = Content(role="user", parts=system)
    else:
        # A request of nothing but system messages: Gemini needs a turn to answer.
        contents = [Content(role="user", parts=system or [{"text": ""}])]
    call.request["contents"] = contents


_SYSTEM = ("system", "developer")
_SPEAKERS = {
    "system": "user",
    "developer": "user",
    "user": "user",
    "assistant": "model",
    "tool": "user",
    "function": "user",
}
"""OpenAI role -> Gemini role."""


def _texts(messages: list[Fields]) -> list[Json]:
    texts = (read_text(message.get("content"), message.at("content")) for message in messages)
    return [{"text": text} for text in texts if text]


def _answered(messages: list[Fields], roles: list[str]) -> set[str]:
    """The ids of all calls that have a result somewhere in the history."""
    results = (m for m, role in zip(messages, roles, strict=True) if role == "tool")
    return {_split_id(message.string("tool_call_id"))[0] for message in results}


@dataclass(slots=True)
class _History:
    """Reads one message after the other; knows the calls that still wait for a result."""

    call: Call
    answered: set[str]
    known: set[str] = field(default_factory=set)
    waiting: dict[str, str] = field(default_factory=dict)
    """Id -> function name of calls without a result of their own."""
    nameless: int = 0

    def parts(self, message: Fields, role: str) -> list[Json]:
        """The parts of one message; none when it says nothing."""
        match role:
            case "system" | "developer":
                text = read_text(message.get("content"), message.at("content"))
                return [{"text": f"<system_message>\n{text}\n</system_message>"}] if text else []
            case "user":
                return self._content(message) or [{"text": ""}]
            case "assistant":
                return [*self._content(message), *self._said(message), *self._calls(message)]
            case "tool":
                return [self._result(message, _split_id(message.string("tool_call_id"))[0])]
            case "function":
                return [self._result(message, "")]
            case _:
                known = ", ".join(_SPEAKERS)
                raise wrong(message.at("role"), f"Unknown role {role!r}; known: {known}")

    def _content(self, message: Fields) -> list[Json]:
        path = message.at("content")
        return read_parts(message.get("content"), path, self.call.downloads)

    def _said(self, message: Fields) -> list[Json]:
        refusal = message.string("refusal")
        return [{"text": refusal}] if refusal else []

    def _calls(self, message: Fields) -> Iterator[Json]:
        encrypted = _encrypted_details(message.get("reasoning_details"))
        for entry in message.objects("tool_calls"):
            given_id, suffix = _split_id(entry.string("id"))
            function = entry.object("custom") or entry.object("function") or entry
            name = function.required_string("name")
            call_id = self._opened(given_id, name)
            signature = _carried(entry, function) or encrypted.get(given_id) or _signature(suffix)
            if signature is not None:
                self.call.carried[call_id] = signature
            yield function_call(call_id, self.call.tool_names.send(name), _arguments(function))
        legacy = message.object("function_call")
        if legacy is not None:
            name = legacy.required_string("name")
            sent = self.call.tool_names.send(name)
            yield function_call(self._opened("", name), sent, _arguments(legacy))

    def _opened(self, call_id: str, name: str) -> str:
        """Note a call and return its id; a call without one gets a synthetic id."""
        if not call_id:
            call_id = f"fc_{self.nameless}"
            self.nameless += 1
        self.known.add(call_id)
        if call_id not in self.answered:
            self.waiting[call_id] = name
        return call_id

    def _result(self, message: Fields, given_id: str) -> Json:
        name = message.string("name") or ""
        call_id = self._closed(given_id, name)
        path = message.at("content")
        sent = self.call.tool_names.send(name) if name else ""
        downloads = self.call.downloads
        return function_response(call_id, sent, message.get("content"), path, downloads)

    def _closed(self, given_id: str, name: str) -> str:
        """The id of the call a result belongs to.

        A result whose id is unknown belongs to the call waiting under its name, else to the only
        call that waits; else it keeps its id, and the repair makes it readable text.
        """
        if given_id in self.known:
            return given_id
        same_name = [call_id for call_id, waiting in self.waiting.items() if waiting == name]
        candidates = same_name or list(self.waiting)
        if not same_name and len(candidates) != 1:
            return given_id
        del self.waiting[candidates[0]]
        return candidates[0]


def _arguments(function: Fields) -> Json:
    """A function's ``arguments``, or the free text of a custom tool."""
    if "input" in function.raw and "arguments" not in function.raw:
        return {"input": function.get("input")}
    return read_arguments(function.get("arguments"))


def _split_id(value: str | None) -> tuple[str, str]:
    """A tool-call id without what LiteLLM hides in it, and what that was."""
    call_id, _, hidden = (value or "").partition(_LITELLM_MARK)
    return call_id, hidden


def _carried(entry: Fields, function: Fields) -> CarriedSignature | None:
    """The signature on one ``tool_calls`` entry, wherever its client keeps it."""
    for holder in (
        _inner(entry.raw, "extra_content", "google"),
        _inner(function.raw, "extra_content", "google"),
        entry.raw,
        _inner(entry.raw, "provider_specific_fields"),
        _inner(function.raw, "provider_specific_fields"),
    ):
        value = holder.get("thought_signature") or holder.get("thoughtSignature")
        found = _signature(value, holder.get("thought_signature_model"))
        if found is not None:
            return found
    return None


def _inner(holder: Json, *names: str) -> Json:
    for name in names:
        value = holder.get(name)
        holder = value if isinstance(value, dict) else {}
    return holder


def _encrypted_details(details: object) -> dict[str, CarriedSignature]:
    """OpenRouter's ``reasoning_details``: ``{"type": "reasoning.encrypted", "id", "data"}``."""
    found: dict[str, CarriedSignature] = {}
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("type") == "reasoning.encrypted":
            call_id, signature = detail.get("id"), _signature(detail.get("data"))
            if isinstance(call_id, str) and signature is not None:
                found[call_id] = signature
    return found


def _signature(value: object, model: object = None) -> CarriedSignature | None:
    """``value`` if it can be a Gemini signature (base64); anything else counts as absent."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_SIGNATURE:
        return None
    if not _SIGNATURE.fullmatch(value):
        return None
    return CarriedSignature(value, model if isinstance(model, str) and model else None)
