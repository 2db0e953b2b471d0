"""Anthropic messages and content blocks -> Gemini contents and parts.

The order of the client is kept; pairing calls with results, merging turns and everything else that
depends on the model comes later (``gemini/repair.py``, ``gemini/fit.py``). Blocks of a type we do
not know are skipped, because Claude Code answers an unknown 400 with six more requests. Sources:
Anthropic SDK 2.12 ``types/*_block_param.py``; measured requests of Claude Code 2.1.330.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from server.dialects.anthropic.envelope import unseal
from server.dialects.anthropic.tools import ToolChange
from server.dialects.fields import Fields, wrong
from server.dialects.media import Incoming, strict_base64
from server.gemini.media import FILES
from server.gemini.names import ToolNames
from server.gemini.types import CarriedSignature, Content, Json
from server.json_codec import strict_loads

_BILLING = "x-anthropic-billing-header:"
"""Claude Code's first system block; it changes per session and would break implicit caching."""

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/heic", "image/heif")

_DEEPEST_RESULT = 8
"""How far into a server tool's result its text is looked for."""


@dataclass(slots=True)
class Conversation:
    """What ``system`` and ``messages`` say."""

    tool_names: ToolNames
    contents: list[Content] = field(default_factory=list)
    system: list[Json] = field(default_factory=list)
    effort: str | None = None
    """The last ``output_config.effort`` of a system message; it overrides the request's own."""
    loaded: set[str] = field(default_factory=set)
    """Names of tools that the conversation refers to or has called."""
    changes: list[ToolChange] = field(default_factory=list)
    carried: dict[str, CarriedSignature] = field(default_factory=dict)
    incoming: Incoming = field(default_factory=lambda: Incoming(plain=plain))
    _signature: CarriedSignature | None = None
    """Of the last thinking block of this message: it belongs to the next tool_use."""

    def read_system(self, fields: Fields) -> None:
        """Read the top-level ``system``: a string or text blocks."""
        if isinstance(text := fields.get("system"), str):
            self._add_system(text)
        else:
            for block in fields.objects("system"):
                block.known("type")
                self._add_system(block.string("text") or "")

    def read_messages(self, fields: Fields) -> None:
        """Read ``messages``. Raises ``BadRequestError`` when nothing is left to answer."""
        if fields.array("messages") is None:
            raise wrong("messages", "Field required", code="missing_required_parameter")
        messages = list(fields.objects("messages"))
        roles = [message.required_string("role") for message in messages]
        last_user = max((i for i, role in enumerate(roles) if role == "user"), default=-1)
        for index, (message, role) in enumerate(zip(messages, roles, strict=True)):
            self.incoming.earlier = index < last_user
            self._read_message(message, role, outdated=index < last_user)
        if not any(content["parts"] for content in self.contents):
            raise wrong("messages", "at least one message is required")

    def _read_message(self, message: Fields, role: str, *, outdated: bool) -> None:
        """``outdated``: a later user message exists (``clear_at: next_user_message``)."""
        if role == "user" and not outdated and message.get("content") is None:
            raise wrong(message.at("content"), "Field required", code="missing_required_parameter")
        self._signature = None
        match role:
            case "user" | "assistant":
                self._add(role, self._content(message, "content"))
            case "system":
                blocks = _blocks(message, "content")
                self._read_system_message(message, blocks, outdated=outdated)
            case _:
                raise wrong(message.at("role"), "Input should be 'user', 'assistant' or 'system'")

    def _read_system_message(
        self, message: Fields, blocks: Iterable[Fields], *, outdated: bool
    ) -> None:
        """Before the conversation it is a system prompt, within it a reminder at that place."""
        config = message.object("output_config")
        self.effort = (config and config.string("effort")) or self.effort
        texts = [part["text"] for block in blocks for part in self._parts(block) if "text" in part]
        if message.get("clear_at") == "next_user_message" and outdated:
            return
        text = "\n".join(texts)
        if not self.contents:
            self._add_system(text)
        elif text.strip():
            self._add("user", [{"text": f"<system-reminder>\n{text}\n</system-reminder>"}])

    def _add(self, role: str, parts: list[Json]) -> None:
        gemini_role = "model" if role == "assistant" else "user"
        self.contents.append({"role": gemini_role, "parts": parts})

    def _add_system(self, text: str) -> None:
        if text.strip() and not text.startswith(_BILLING):
            self.system.append({"text": text})

    def _content(self, holder: Fields, name: str) -> list[Json]:
        """The Gemini parts of all blocks of a field."""
        content = holder.get(name)
        if not isinstance(content, list):
            return [part for block in _blocks(holder, name) for part in self._parts(block)]
        parts: list[Json] = []
        at = holder.at(name)
        for index, item in enumerate(content):
            path = f"{at}.{index}"
            parts += self.incoming.usable(path, self._read_item, holder, item, path)
        return parts

    def _read_item(self, holder: Fields, item: object, path: str) -> Iterable[Json]:
        return self._read_block(holder.wrap(item, path))

    def _parts(self, block: Fields) -> list[Json]:
        """The Gemini parts of one content block; none for a type that means nothing to Gemini."""
        return self.incoming.usable(block.path, self._read_block, block)

    def _read_block(self, block: Fields) -> Iterable[Json]:
        kind = block.required_string("type")
        if reader := _READERS.get(kind):
            block.path = f"{block.path}.{kind}"  # from here on errors name the variant
            return reader(self, block)
        if kind in ("server_tool_use", "mcp_tool_use"):
            block.known("id", "server_name", "caller")
            return _text(_server_call(block))
        if kind.endswith("_tool_result"):
            block.known("tool_use_id", "is_error", "caller")
            self._load(block.get("content"))
            return _text(_gist(block.get("content")))
        if kind == "redacted_thinking":
            block.known("data")
        else:
            block.leave_out()
        return ()

    def _text_block(self, block: Fields) -> Iterable[Json]:
        block.known("citations")  # sources of an earlier answer
        return _text(_needed(block, "text"))

    def _thinking(self, block: Fields) -> Iterable[Json]:
        """Its text is not sent: Gemini wants nothing but the signature back."""
        block.known("thinking")
        self._signature = unseal(block.string("signature") or "") or self._signature
        return ()

    def _tool_use(self, block: Fields) -> Iterable[Json]:
        call_id, name = block.required_string("id"), block.required_string("name")
        block.known("caller")
        self.loaded.add(name)
        if self._signature is not None:
            self.carried[call_id] = self._signature
            self._signature = None
        args = _arguments(block.get("input"))
        call = {"id": call_id, "name": self.tool_names.send(name), "args": args}
        return ({"functionCall": call},)

    def _tool_result(self, block: Fields) -> Iterator[Json]:
        """Text goes to ``output`` or ``error``, media to ``parts``; ``repair`` adds the name."""
        call_id = block.required_string("tool_use_id")
        inner = list(_blocks(block, "content"))
        parts = [part for b in inner if b.get("type") in _IN_RESULTS for part in self._parts(b)]
        for other in inner:
            if other.get("type") not in (*_IN_RESULTS, "tool_reference"):
                other.leave_out()
        texts = [part["text"] for part in parts if "text" in part]
        media = [part for part in parts if "text" not in part]
        found = [b.required_string("tool_name") for b in inner if b.get("type") == "tool_reference"]
        if found:
            self.loaded.update(found)
            texts.append(f"Tools now available: {', '.join(found)}")
        if media and not texts:
            texts = [f"Binary content provided ({len(media)} item(s))."]
        key = "error" if block.boolean("is_error") else "output"
        result: Json = {"id": call_id, "name": "", "response": {key: "\n".join(texts)}}
        if media:
            result["parts"] = media
        yield {"functionResponse": result}

    def _tool_change(self, block: Fields) -> Iterator[Json]:
        added = block.get("type") == "tool_addition"
        tool = block.object("tool")
        if tool:
            tool.known("type")
        definition = tool and tool.object("definition")
        name = tool and (definition or tool).string("name")
        if name:
            self.changes.append(ToolChange(name, added, definition))
        yield from ()

    def _compaction(self, block: Fields) -> Iterator[Json]:
        for change in block.objects("tool_changes"):
            yield from self._tool_change(change)
        if content := block.string("content"):
            yield {"text": f"Summary of earlier conversation:\n{content}"}

    def _image(self, block: Fields) -> Iterator[Json]:
        source = _source(block)
        match source.required_string("type"):
            case "base64":
                yield self._inline(source.tagged("base64"), _IMAGE_TYPES)
            case "url":
                yield self._linked(source, "image/")
            case "file":
                yield self._by_id(source, "image/")
            case _:
                source.leave_out()

    def _document(self, block: Fields) -> Iterator[Json]:
        source = _source(block)
        title, context = block.string("title") or "", block.string("context") or ""
        match source.required_string("type"):
            case "base64":
                yield from _text(f"Document: {title}\n{context}" if title or context else "")
                yield self._inline(source.tagged("base64"), ("application/pdf",))
            case "url":
                yield from _text(f"Document: {title}\n{context}" if title or context else "")
                yield self._linked(source, "application/pdf")
            case "text":
                source.known("media_type")
                head = _head("document", title=title, context=context)
                yield {"text": f"{head}\n{_needed(source, 'data')}\n</document>"}
            case "content":
                yield {"text": _head("document", title=title, context=context)}
                for inner in _blocks(source, "content"):
                    if inner.get("type") in ("text", "image"):
                        yield from self._parts(inner)
                yield {"text": "</document>"}
            case "file":
                yield self._by_id(source, "application/pdf")
            case _:
                source.leave_out()

    def _search_result(self, block: Fields) -> Iterator[Json]:
        head = _head(
            "search_result",
            title=block.string("title") or "",
            source=block.string("source") or "",
        )
        inner = list(_blocks(block, "content"))
        for text in inner:
            text.known("type")
        texts = [text.string("text") or "" for text in inner]
        yield {"text": "\n".join([head, *texts, "</search_result>"])}

    def _linked(self, source: Fields, media: str) -> Json:
        """A part for ``source.url``: decoded when it is a data URL, else left to be fetched."""
        url = source.required_string("url").strip()
        if url[:5].lower() == "data:":
            return self.incoming.data_url(url, source.at("url"), "text/plain")
        return self.incoming.linked(url, source.at("url"), (media,))

    def _by_id(self, source: Fields, media: str) -> Json:
        """A file by its id, which can be had only where the id is an address that Google reads."""
        name = source.string("file_id") or ""
        if name.startswith("files/"):
            name = FILES + name
        if "://" not in name:
            raise wrong(source.at("file_id"), "File not found")
        return self.incoming.linked(name, source.at("file_id"), (media,))

    def _inline(self, source: Fields, allowed: tuple[str, ...]) -> Json:
        """``inlineData`` from a base64 source; a data URL and line breaks are taken as well."""
        mime = (source.string("media_type") or "").lower().replace("image/jpg", "image/jpeg")
        if mime not in allowed:
            known = [f"'{name}'" for name in allowed[:4]]
            listed = " or ".join(filter(None, [", ".join(known[:-1]), known[-1]]))
            raise wrong(source.at("media_type"), f"Input should be {listed}")
        data = source.required_string("data")
        if data.startswith("data:"):
            data = data.partition(",")[2]
        path = source.at("data")
        return self.incoming.media(mime, strict_base64(data, path), path)

    def _load(self, content: object) -> None:
        """Note the tools found by a server-side tool search."""
        references = content.get("tool_references") if isinstance(content, dict) else None
        for reference in references if isinstance(references, list) else ():
            if isinstance(reference, dict) and isinstance(reference.get("tool_name"), str):
                self.loaded.add(reference["tool_name"])


_READERS: dict[str, Callable[[Conversation, Fields], Iterable[Json]]] = {
    "text": Conversation._text_block,
    "thinking": Conversation._thinking,
    "tool_use": Conversation._tool_use,
    "tool_result": Conversation._tool_result,
    "tool_addition": Conversation._tool_change,
    "tool_removal": Conversation._tool_change,
    "compaction": Conversation._compaction,
    "image": Conversation._image,
    "document": Conversation._document,
    "search_result": Conversation._search_result,
}

_TAG = re.compile(rf"(?<=\d)\.(?:{'|'.join(_READERS)})(?=\.|$)")
"""The variant of a union behind an index: a part of Anthropic's paths, but no field."""


def plain(path: str) -> str:
    """A path without such variants."""
    return _TAG.sub("", path)


_IN_RESULTS = ("text", "image", "document", "search_result")


def _blocks(fields: Fields, name: str) -> Iterable[Fields]:
    """The content blocks of a field; a string is one text block, null is none."""
    content = fields.get(name)
    if isinstance(content, str):
        text: Json = {"type": "text", "text": content}
        return [fields.wrap(text, fields.item(name, 0))]
    return fields.objects(name)


def _source(block: Fields) -> Fields:
    source = block.object("source")
    if source is None:
        raise wrong(block.at("source"), "Field required")
    return source


def _needed(fields: Fields, name: str) -> str:
    """A string that must be there but may be empty."""
    value = fields.string(name)
    if value is None:
        raise wrong(fields.at(name), "Field required")
    return value


def _text(text: str) -> list[Json]:
    return [{"text": text}] if text.strip() else []


def _head(tag: str, **attributes: str) -> str:
    """An opening tag; empty attributes are left out."""
    written = (
        f" {name}={json.dumps(v, ensure_ascii=False)}" for name, v in attributes.items() if v
    )
    return f"<{tag}{''.join(written)}>"


def _arguments(value: object) -> Json:
    """A tool's ``input`` as an object; a JSON string is read, anything else is wrapped."""
    if isinstance(value, str):
        try:
            value = strict_loads(value.encode("utf-8", "surrogatepass"))
        except ValueError:
            return {"value": value}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"value": value}


def _server_call(block: Fields) -> str:
    """A tool that Anthropic ran itself, in words: ``[web_search "gemini api"]``."""
    arguments = block.get("input")
    values = arguments.values() if isinstance(arguments, dict) else ()
    words = [f' "{value}"' for value in values if isinstance(value, str)]
    return f"[{block.string('name') or 'tool'}{''.join(words)}]"


def _gist(result: object, depth: int = 0) -> str:
    """The readable lines of a server tool's result: titles, addresses, output, error codes."""
    if isinstance(result, str):
        return result
    if depth > _DEEPEST_RESULT:
        return ""
    if isinstance(result, list):
        return "\n".join(filter(None, (_gist(item, depth + 1) for item in result)))
    if not isinstance(result, dict):
        return ""
    names = (result.get(key) for key in ("error_code", "title", "url", "tool_name"))
    line = " — ".join(name for name in names if isinstance(name, str) and name)
    inner = ("stdout", "stderr", "text", "content", "tool_references")
    return "\n".join(filter(None, [line, *(_gist(result.get(key), depth + 1) for key in inner)]))
