"""OpenAI message content -> Gemini parts: text, images, sound, files, tool calls and their results.

Chat and Responses name their parts differently (``text`` / ``input_text``) but mean the same, so
one table reads both. Sources: OpenAI API reference, *Create chat completion*, ``messages``;
openai-python 3.54 ``types/chat`` and ``types/responses``.
"""

import json
from collections.abc import Callable

from server.dialects.fields import Fields, wrong
from server.dialects.media import Incoming, strict_base64
from server.gemini.media import FILES, MEDIA
from server.gemini.types import Json
from server.json_codec import strict_loads

_AUDIO = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mpeg": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
    "pcm16": "audio/pcm",
}
_EXTENSIONS = {
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    **_AUDIO,
}


def read_parts(holder: Fields, name: str, incoming: Incoming) -> list[Json]:
    """The Gemini parts of ``holder[name]``: a string, a list of parts, or null.

    Raises ``BadRequestError`` naming the part that cannot be understood.
    """
    content = holder.get(name)
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}]
    if not isinstance(content, list):
        raise wrong(holder.at(name), "Input should be a string or a list of content parts")
    parts: list[Json] = []
    at = holder.at(name)
    for index, item in enumerate(content):
        if isinstance(item, str):
            parts.append({"text": item})
        else:
            path = f"{at}[{index}]"
            parts += incoming.usable(path, _read_item, holder, item, path, incoming)
    return parts


def _read_item(holder: Fields, item: object, path: str, incoming: Incoming) -> list[Json]:
    return read_part(holder.wrap(item, path), incoming)


def read_text(holder: Fields, name: str) -> str:
    """``holder[name]``, which must be text only, its parts joined by line breaks."""
    parts = read_parts(holder, name, Incoming())
    if any("text" not in part for part in parts):
        raise wrong(holder.at(name), "Only text is allowed here")
    return "\n".join(part["text"] for part in parts)


def function_call(call_id: str, name: str, args: Json) -> Json:
    """The model part of one tool call; ``name`` is the one sent upstream."""
    return {"functionCall": {"id": call_id, "name": name, "args": args}}


def function_response(
    call_id: str, name: str, holder: Fields, field: str, incoming: Incoming
) -> Json:
    """The user part that answers the call ``call_id`` with what ``holder[field]`` says.

    Text goes to ``response.output``, never parsed as JSON; media is nested in ``parts``. What is
    neither text nor a list of parts was meant as data, and is sent as JSON text.
    """
    content = holder.get(field)
    if isinstance(content, str):
        return text_response(call_id, name, content)
    if not (content is None or isinstance(content, list)):
        return text_response(call_id, name, json.dumps(content, ensure_ascii=False))
    parts = read_parts(holder, field, incoming)
    output = "\n".join(part["text"] for part in parts if "text" in part)
    answer = text_response(call_id, name, output)
    media = [part for part in parts if "text" not in part]
    if media:
        answer["functionResponse"]["parts"] = media
    return answer


def text_response(call_id: str, name: str, output: str) -> Json:
    """The user part that answers the call ``call_id`` with a text."""
    return {"functionResponse": {"id": call_id, "name": name, "response": {"output": output}}}


def read_arguments(value: object) -> Json:
    """The arguments of a tool call in the history, as an object whatever the model once wrote.

    Text that is no JSON as Google reads it (``NaN``, ``1e999``, hundreds of levels) stays text.
    """
    if value is None or value == "":
        return {}
    parsed = value
    if isinstance(value, str):
        try:
            parsed = strict_loads(value.encode("utf-8", "surrogatepass"))
        except ValueError:
            return {"_raw": value}
    if isinstance(parsed, dict):
        return parsed
    if parsed is None:
        return {}
    return {"_raw": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}


def read_part(part: Fields, incoming: Incoming) -> list[Json]:
    """The Gemini parts of one content part."""
    kind = part.string("type") or ("text" if "text" in part.raw else "")
    if kind not in _READERS:
        known = ", ".join(_READERS)
        raise wrong(part.at("type"), f"Unknown content part {kind!r}; known: {known}")
    return _READERS[kind](part, incoming)


def _text(part: Fields, _incoming: Incoming) -> list[Json]:
    text = part.string("text")
    if text is None:
        raise wrong(part.at("text"), "Field required")
    part.known("annotations", "logprobs", "parsed")  # of an earlier answer
    return [{"text": text}]


def _refusal(part: Fields, _incoming: Incoming) -> list[Json]:
    return [{"text": part.string("refusal") or ""}]


def _reasoning(part: Fields, _incoming: Incoming) -> list[Json]:
    """Thoughts of an earlier turn are never replayed."""
    part.known("text", "thinking", "signature", "data", "summary", "content")
    return []


def read_picture(part: Fields, incoming: Incoming) -> list[Json]:
    """The Gemini part of an image, whose address may stand in several ways."""
    part.known("type", "index")
    return [_address(part, "image_url", incoming)]


def _video(part: Fields, incoming: Incoming) -> list[Json]:
    return [_address(part, "video_url", incoming)]


def _audio(part: Fields, incoming: Incoming) -> list[Json]:
    audio = part.object("input_audio") or part
    form = audio.required_string("format")
    if form not in _AUDIO:
        raise wrong(audio.at("format"), f"Input should be one of {', '.join(_AUDIO)}")
    path = audio.at("data")
    data = strict_base64(audio.required_string("data"), path)
    return [incoming.media(_AUDIO[form], data, path)]


def _file(part: Fields, incoming: Incoming) -> list[Json]:
    file = part.object("file") or part
    if (found := _by_id(file, incoming)) is not None:
        return [found]
    if file.get("file_url") is not None:
        return [_address(file, "file_url", incoming)]
    data, path = file.required_string("file_data"), file.at("file_data")
    extension = (file.string("filename") or "").rpartition(".")[2].lower()
    named = _EXTENSIONS.get(extension, "text/plain")
    if data[:5].lower() == "data:":
        return [incoming.data_url(data, path, named)]
    return [incoming.media(named, strict_base64(data, path), path)]


_READERS: dict[str, Callable[[Fields, Incoming], list[Json]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "image_url": read_picture,
    "input_image": read_picture,
    "video_url": _video,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "redacted_thinking": _reasoning,
}
"""Part type -> its reader: OpenAI's own types, and what other APIs' clients leave in histories."""


def _by_id(part: Fields, incoming: Incoming) -> Json | None:
    """The media that ``file_id`` names, where it is an address; nothing is stored here."""
    name = part.string("file_id")
    if name is None:
        return None
    if name.startswith("files/"):
        name = FILES + name
    if "://" in name:
        mime = part.string("format")
        return incoming.linked(
            name, part.at("file_id"), MEDIA, mime if "/" in (mime or "") else None
        )
    problem = "Files are not stored here; send the data itself"
    raise wrong(part.at("file_id"), problem, code="unsupported_parameter")


def _address(part: Fields, name: str, incoming: Incoming) -> Json:
    """The media at ``part[name]``: an address, or an object with one in ``url``."""
    if (found := _by_id(part, incoming)) is not None:
        return found
    if isinstance(part.get(name), dict):
        part, name = part.wrap(part.get(name), part.at(name)), "url"
    if part.raw.get("detail") == "auto":  # it asks for nothing
        part.known("detail")
    url, path = part.required_string(name), part.at(name)
    if url[:5].lower() == "data:":
        return incoming.data_url(url, path, "text/plain")
    return incoming.linked(url, path, MEDIA)
