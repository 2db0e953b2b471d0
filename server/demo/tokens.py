"""How the fake counts tokens: four characters are one, media have fixed prices.

Counts are sums over parts, so ``countTokens`` of a request equals its later ``promptTokenCount``.
"""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field

from server.demo.errors import Json
from server.demo.proto import decode_bytes

IMAGE_TOKENS = 258
"""An image, or a page of a PDF (Gemini API, *Token counting*)."""

_REMEMBERED = 512


@dataclass(slots=True)
class Counted:
    """Tokens by modality, as in ``promptTokensDetails``."""

    by_modality: dict[str, int] = field(default_factory=dict)

    def add(self, modality: str, tokens: int) -> None:
        if tokens:
            self.by_modality[modality] = self.by_modality.get(modality, 0) + tokens

    @property
    def total(self) -> int:
        return sum(self.by_modality.values())

    def details(self) -> list[Json]:
        return [{"modality": m, "tokenCount": n} for m, n in self.by_modality.items()]


def text_tokens(text: str) -> int:
    """Four characters, begun ones included, are one token."""
    return -(-len(text) // 4)


def json_tokens(value: object) -> int:
    return text_tokens(json.dumps(value, ensure_ascii=False, sort_keys=True))


def count_request(request: Json) -> Counted:
    """All that the model reads: system instruction, tools and conversation."""
    counted = Counted()
    if request.get("tools"):
        counted.add("TEXT", json_tokens(request["tools"]))
    for content in (request.get("systemInstruction", {}), *request.get("contents", ())):
        for part in content.get("parts", ()):
            _count_part(part, counted)
    return counted


def _count_part(part: Json, counted: Counted) -> None:
    if "text" in part:
        counted.add("TEXT", text_tokens(part["text"]))
    elif "inlineData" in part:
        counted.add(*_media(part["inlineData"]))
    elif "functionResponse" in part:
        answer = {k: v for k, v in part["functionResponse"].items() if k != "parts"}
        counted.add("TEXT", json_tokens(answer))
        for inner in part["functionResponse"].get("parts", ()):
            _count_part(inner, counted)
    else:
        counted.add("TEXT", json_tokens({k: v for k, v in part.items() if k != "thoughtSignature"}))


def _media(blob: Json) -> tuple[str, int]:
    mime = blob["mimeType"]
    size = len(decode_bytes(blob["data"]) or b"")
    if mime.startswith("image/"):
        return "IMAGE", IMAGE_TOKENS
    if mime == "application/pdf":
        return "DOCUMENT", IMAGE_TOKENS
    if mime.startswith(("audio/", "video/")):
        return mime.partition("/")[0].upper(), 32 + size // 1000
    return "TEXT", -(-size // 4)


class PrefixCache:
    """The implicit cache: which beginnings of requests a model has read before."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def cached_tokens(self, request: Json, model_id: str, floor: int) -> int:
        """Tokens of the longest beginning of ``request`` seen before; then remembers this one.

        A beginning shorter than ``floor`` tokens never comes from the cache.
        """
        cached = 0
        marks = self._marks(request, model_id)
        for mark, tokens in marks:
            if mark in self._seen and tokens >= floor:
                cached = max(cached, tokens)
        for mark, _ in marks:  # large requests are answered in a thread, beside others
            self._seen.pop(mark, None)
            self._seen[mark] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return cached

    def _marks(self, request: Json, model_id: str) -> list[tuple[bytes, int]]:
        """A hash and a token count after the preamble and after each content."""
        contents = request.get("contents", [])
        head: Json = {k: request[k] for k in ("systemInstruction", "tools") if k in request}
        digest = hashlib.sha256(f"{model_id}\n{json.dumps(head, sort_keys=True)}".encode())
        tokens = count_request(head).total
        marks = [(digest.digest(), tokens)]
        for content in contents:
            digest.update(json.dumps(content, sort_keys=True).encode())
            tokens += count_request({"contents": [content]}).total
            marks.append((digest.digest(), tokens))
        return marks
