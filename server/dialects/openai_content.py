"""OpenAI message content -> Gemini parts: text, images, sound, files, tool calls and their results.

Chat and Responses name their parts differently (``text`` / ``input_text``) but mean the same, so
one table reads both. Sources: OpenAI API reference, *Create chat completion*, ``messages``;
openai-python 3.54 ``types/chat`` and ``types/responses``.
"""

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import unquote, unquote_to_bytes

from server.dialects.fields import Fields, wrong
from server.gemini.types import Download, Json

MEDIA = ("image/", "audio/", "video/", "application/pdf")
"""Content types Gemini takes as data; anything else is sent as text, if it is text."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]+")
_URL_SAFE = str.maketrans("-_", "+/")
_BAD_MEDIA = "unsupported_image_media_type"
_BAD_URL = "invalid_image_url"

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


def read_parts(content: object, path: str, downloads: list[Download]) -> list[Json]:
    """The Gemini parts of one message's ``content``: a string, a list of parts, or null.

    Media behind an http(s) address is added to ``downloads``. Raises ``BadRequestError`` naming
    the part that cannot be understood.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}]
    if not isinstance(content, list):
        raise wrong(path, "Input should be a string or a list of content parts")
    parts: list[Json] = []
    for index, item in enumerate(content):
        if isinstance(item, str):
            parts.append({"text": item})
        else:
            parts += _read_part(Fields.of(item, f"{path}[{index}]"), downloads)
    return parts


def read_text(content: object, path: str) -> str:
    """``content`` that must be text only, its parts joined by line breaks."""
    parts = read_parts(content, path, [])
    if any("text" not in part for part in parts):
        raise wrong(path, "Only text is allowed here")
    return "\n".join(part["text"] for part in parts)


def function_call(call_id: str, name: str, args: Json) -> Json:
    """The model part of one tool call; ``name`` is the one sent upstream."""
    return {"functionCall": {"id": call_id, "name": name, "args": args}}


def function_response(
    call_id: str, name: str, content: object, path: str, downloads: list[Download]
) -> Json:
    """The user part that answers the call ``call_id``.

    Text goes to ``response.output``, never parsed as JSON; media is nested in ``parts``. What is
    neither text nor a list of parts was meant as data, and is sent as JSON text.
    """
    if not (content is None or isinstance(content, str | list)):
        content = json.dumps(content, ensure_ascii=False)
    parts = read_parts(content, path, downloads)
    output = "\n".join(part["text"] for part in parts if "text" in part)
    answer: Json = {"id": call_id, "name": name, "response": {"output": output}}
    media = [part for part in parts if "text" not in part]
    if media:
        answer["parts"] = media
    return {"functionResponse": answer}


def read_arguments(value: object) -> Json:
    """The arguments of a tool call in the history, as an object whatever the model once wrote."""
    if value is None or value == "":
        return {}
    parsed = value
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return {"_raw": value}
    if isinstance(parsed, dict):
        return parsed
    if parsed is None:
        return {}
    return {"_raw": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}


def _read_part(part: Fields, downloads: list[Download]) -> list[Json]:
    kind = part.string("type") or ("text" if "text" in part.raw else "")
    if kind not in _READERS:
        known = ", ".join(_READERS)
        raise wrong(part.at("type"), f"Unknown content part {kind!r}; known: {known}")
    return _READERS[kind](part, downloads)


def _text(part: Fields, _downloads: list[Download]) -> list[Json]:
    text = part.string("text")
    if text is None:
        raise wrong(part.at("text"), "Field required")
    return [{"text": text}]


def _refusal(part: Fields, _downloads: list[Download]) -> list[Json]:
    return [{"text": part.string("refusal") or ""}]


def _reasoning(_part: Fields, _downloads: list[Download]) -> list[Json]:
    """Thoughts of an earlier turn are never replayed."""
    return []


def _image(part: Fields, downloads: list[Download]) -> list[Json]:
    _no_file_id(part)
    return [_address(part, "image_url", downloads)]


def _video(part: Fields, downloads: list[Download]) -> list[Json]:
    return [_address(part, "video_url", downloads)]


def _audio(part: Fields, _downloads: list[Download]) -> list[Json]:
    audio = part.object("input_audio") or part
    form = audio.required_string("format")
    if form not in _AUDIO:
        raise wrong(audio.at("format"), f"Input should be one of {', '.join(_AUDIO)}")
    data = _base64(audio.required_string("data"), audio.at("data"))
    return [{"inlineData": {"mimeType": _AUDIO[form], "data": data}}]


def _file(part: Fields, downloads: list[Download]) -> list[Json]:
    file = part.object("file") or part
    _no_file_id(file)
    if file.get("file_url") is not None:
        return [_address(file, "file_url", downloads)]
    data, path = file.required_string("file_data"), file.at("file_data")
    extension = (file.string("filename") or "").rpartition(".")[2].lower()
    named = _EXTENSIONS.get(extension, "text/plain")
    if data[:5].lower() == "data:":
        return [_data_url(data, path, named)]
    return [_media(named, _base64(data, path), path)]


_READERS: dict[str, Callable[[Fields, list[Download]], list[Json]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_image": _image,
    "video_url": _video,
    "input_audio": _audio,
    "file": _file,
    "input_file": _file,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "redacted_thinking": _reasoning,
}
"""Part type -> its reader: OpenAI's own types, and what other APIs' clients leave in histories."""


def _no_file_id(part: Fields) -> None:
    if part.get("file_id") is not None:
        problem = "Files are not stored here; send the data itself"
        raise wrong(part.at("file_id"), problem, code="unsupported_parameter")


def _address(part: Fields, name: str, downloads: list[Download]) -> Json:
    """The media at ``part[name]``: an address, or an object with one in ``url``."""
    if isinstance(part.get(name), dict):
        part, name = Fields.of(part.get(name), part.at(name)), "url"
    url, path = part.required_string(name), part.at(name)
    scheme = url.partition(":")[0].lower()
    if scheme == "data":
        return _data_url(url, path, "text/plain")
    if scheme not in ("http", "https"):
        raise wrong(path, "Input should be an http(s) address or a data: URL", code=_BAD_URL)
    placeholder: Json = {"inlineData": {}}
    downloads.append(Download(part=placeholder, url=url, param=path, media=MEDIA))
    return placeholder


def _data_url(url: str, path: str, usual: str) -> Json:
    """``data:[<type>][;<parameter>]*[;base64],<data>`` (RFC 2397); ``usual`` is the type if unsaid.

    Tolerates what clients send: parameters, url-safe or unpadded base64, percent-encoding.
    """
    head, comma, data = url[5:].partition(",")
    if not comma:
        raise wrong(path, "This data: URL has no data", code=_BAD_URL)
    mime, *parameters = [word.strip().lower() for word in head.split(";")]
    if mime in ("", "application/octet-stream"):
        mime = usual
    if "base64" in parameters:
        return _media(mime, _base64(data, path), path)
    if not data:
        raise wrong(path, "This data: URL has no data", code=_BAD_URL)
    return _media(mime, base64.b64encode(unquote_to_bytes(data)).decode(), path)


def _media(mime: str, data: str, path: str) -> Json:
    """Base64 ``data`` as the part Gemini takes for this type."""
    if mime == "image/jpg":
        mime = "image/jpeg"
    if mime.startswith(MEDIA):
        return {"inlineData": {"mimeType": mime, "data": data}}
    try:
        return {"text": base64.b64decode(data).decode("utf-8")}
    except UnicodeDecodeError:
        problem = f"Content of type {mime} cannot be read: it is neither media nor text"
        raise wrong(path, problem, code=_BAD_MEDIA) from None


def _base64(data: str, path: str) -> str:
    """``data`` as strict, padded base64."""
    if "%" in data:
        data = unquote(data)
    bare = "".join(data.split()).rstrip("=").translate(_URL_SAFE)
    if not _BASE64.fullmatch(bare) or len(bare) % 4 == 1:
        raise wrong(path, "Input should be valid base64", code="invalid_value")
    return bare + "=" * (-len(bare) % 4)
