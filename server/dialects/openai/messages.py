"""Chat ``messages`` -> Gemini contents, in the client's order.

Only what the messages say is settled here. Merging turns, putting results beside their calls and
filling gaps is the repair of ``gemini/history.py``; a request that says nothing but a system
message, or nothing at all, is the affair of ``gemini/fit.py``. Sources: OpenAI API reference,
*Create chat completion*, ``messages``; protocol notes ``openai.md`` sections 2, 4 and 7.
"""

import re
from collections.abc import Iterator

from server.dialects.fields import Fields, wrong
from server.dialects.media import Incoming, Speaker, newest_turn
from server.dialects.openai.content import (
    function_call,
    function_response,
    read_arguments,
    read_parts,
    read_picture,
    read_text,
)
from server.gemini.types import Call, CarriedSignature, Content, Json

_SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_LONGEST_SIGNATURE = 1 << 20
_MISSING = "missing_required_parameter"

_LITELLM_MARK = "__thought__"
"""LiteLLM appends ``__thought__<signature>`` to tool-call ids, in calls and in results alike."""


def read_messages(fields: Fields, call: Call) -> None:
    """Fill the call's contents, system instruction and carried signatures from ``messages``."""
    messages = list(fields.objects("messages"))
    if not messages:
        problem = "At least one message is required"
        raise wrong(fields.at("messages"), problem, code=_MISSING)
    roles = [message.required_string("role") for message in messages]
    leading = next((i for i, role in enumerate(roles) if role not in _SYSTEM), len(roles))
    system = [{"text": text} for message in messages[:leading] if (text := _text(message))]
    newest = newest_turn(len(roles), lambda index: _SPEAKERS.get(roles[index], "other"))
    incoming = Incoming(call.downloads, call.pictures, call.past_media)
    contents = call.request["contents"] = []
    for index in range(leading, len(messages)):
        incoming.earlier = index < newest
        contents.append(_content(messages[index], roles[index], call, incoming))
    call.dropped += tuple(incoming.left_out)
    if system:
        call.request["systemInstruction"] = Content(role="user", parts=system)


_SYSTEM = ("system", "developer")
_SPEAKERS: dict[str, Speaker] = {"user": "user", "tool": "result", "function": "result"}


def _content(message: Fields, role: str, call: Call, incoming: Incoming) -> Content:
    """One message as a Gemini content; one that says nothing has no parts.

    ``function_call`` and role ``function`` are the legacy form of tool calls: they have no id.
    """
    match role:
        case "system" | "developer":
            text = _text(message)
            note = f"<system_message>\n{text}\n</system_message>" if text else ""
            return Content(role="user", parts=[{"text": note}])
        case "user":
            if not incoming.earlier and message.get("content") is None:
                raise wrong(message.at("content"), "Field required", code=_MISSING)
            return Content(role="user", parts=read_parts(message, "content", incoming))
        case "assistant":
            return Content(role="model", parts=_said(message, call, incoming))
        case "tool":
            call_id, _ = _split_id(message.string("tool_call_id"))
            return Content(role="user", parts=[_result(message, call_id, call, incoming)])
        case "function":
            return Content(role="user", parts=[_result(message, "", call, incoming)])
        case _:
            known = "system, developer, user, assistant, tool, function"
            raise wrong(message.at("role"), f"Unknown role {role!r}; known: {known}")


_SAID_ONLY = frozenset({"role", "content"})


def _said(message: Fields, call: Call, incoming: Incoming) -> list[Json]:
    """What the model said: text, pictures it made (``images``, as our answers bring them), calls.

    Thoughts and sources are not sent again.
    """
    parts = read_parts(message, "content", incoming)
    if _SAID_ONLY.issuperset(message.raw):  # most messages by far
        return parts
    parts.append({"text": message.string("refusal") or ""})
    for image in message.objects("images"):
        parts += incoming.usable(image.path, read_picture, image, incoming)
    parts += _calls(message, call)
    return parts


def _text(message: Fields) -> str:
    return read_text(message, "content")


def _calls(message: Fields, call: Call) -> Iterator[Json]:
    """The tool calls of an assistant message; their signatures are noted in ``call.carried``."""
    encrypted = _encrypted_details(message.get("reasoning_details"))
    for entry in message.objects("tool_calls"):
        call_id, hidden = _split_id(entry.string("id"))
        entry.known("type", "index")
        function = entry.object("custom") or entry.object("function") or entry
        signature = _carried(entry, function) or encrypted.get(call_id) or _signature(hidden)
        if signature is not None:
            call.carried[call_id] = signature
        yield _call(function, call_id, call)
    legacy = message.object("function_call")
    if legacy is not None:
        yield _call(legacy, "", call)


def _call(function: Fields, call_id: str, call: Call) -> Json:
    sent = call.tool_names.send(function.required_string("name"))
    return function_call(call_id, sent, _arguments(function))


def _result(message: Fields, call_id: str, call: Call, incoming: Incoming) -> Json:
    name = message.string("name")
    sent = call.tool_names.send(name) if name else ""
    return function_response(call_id, sent, message, "content", incoming)


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
    if _CARRIERS.isdisjoint(entry.raw) and _CARRIERS.isdisjoint(function.raw):
        return None
    for fields in (entry, function):
        fields.known(*_CARRIERS)
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


_CARRIERS = frozenset(
    {
        *("extra_content", "provider_specific_fields"),
        *("thought_signature", "thoughtSignature", "thought_signature_model"),
    }
)


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
