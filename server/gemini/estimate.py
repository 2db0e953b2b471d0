"""Tokens counted without asking upstream; every place that shows one says it is an estimate.

Figures: protocol notes ``anthropic.md`` section 8b.
"""

import base64
import binascii
import json
import re

from server.gemini.types import GenerateRequest, Json

_BYTES_PER_TOKEN = 4
_PER_MEDIUM = 258
"""Tokens of an image, or of one page of a PDF."""
_PER_CONTENT = 4
_PER_TOOL = 8
_PDF_PAGE = re.compile(rb"/Type\s*/Page\b")


def estimate_tokens(request: GenerateRequest) -> int:
    """Tokens of a whole request: system, contents, tools and media.

    It may be a client's own Gemini JSON, so whatever has another form than documented counts as
    absent.
    """
    contents = _dicts(request.get("contents"))
    said = [*contents, _dict(request.get("systemInstruction"))]
    parts = [part for content in said for part in _dicts(content.get("parts"))]
    tools = _dicts(request.get("tools"))
    declared = sum(max(1, len(_dicts(tool.get("functionDeclarations")))) for tool in tools)
    size = sum(map(_text_bytes, parts)) + _json_bytes(tools) * bool(tools)
    fixed = _PER_CONTENT * len(contents) + _PER_TOOL * declared
    return -(-size // _BYTES_PER_TOKEN) + fixed + _PER_MEDIUM * sum(map(_media, parts))


def _text_bytes(part: Json) -> int:
    """Bytes the model reads of a part; signatures and media are not text."""
    size = len(str(part.get("text", "")).encode("utf-8", "surrogatepass"))
    call, result = _dict(part.get("functionCall")), _dict(part.get("functionResponse"))
    return size + sum(
        _json_bytes(value)
        for value in (call.get("name"), call.get("args"), result.get("response"))
        if value is not None
    )


def _json_bytes(value: object) -> int:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


def _media(part: Json) -> int:
    """Images and PDF pages in a part, those inside a function result included."""
    nested = _dicts(_dict(part.get("functionResponse")).get("parts"))
    blob = _dict(part.get("inlineData"))
    own = _pages(blob) if blob else 0
    return own + sum(map(_media, nested)) + ("fileData" in part)


def _pages(blob: Json) -> int:
    if blob.get("mimeType") != "application/pdf":
        return 1
    try:
        pages = _PDF_PAGE.findall(base64.b64decode(str(blob.get("data", ""))))
    except (binascii.Error, ValueError):
        pages = []
    return max(1, len(pages))


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
