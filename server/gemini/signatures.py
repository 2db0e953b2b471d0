"""Thought signatures: putting back what a model signed, so that it accepts its own calls again.

Gemini 3 and later refuse a request in which the first function call of a step of the current turn
lacks the signature the model gave it. A signature is good for the exact model that issued it.
Rules: ai.google.dev *Thought signatures*; protocol notes ``code-assist.md`` section 5.
"""

import hashlib
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.gemini.history import is_result
from server.gemini.model_traits import traits
from server.gemini.types import CarriedSignature, Content, GenerateRequest, Json

BYPASS = "skip_thought_signature_validator"
"""The documented value for a signature that is unknown; Gemini CLI uses it the same way."""

_LONGEST = 2**20
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class StoredSignature:
    """What upstream gave with a call (or with an answer's text) that we passed on."""

    model: str
    """The upstream model id that issued it."""
    signature: str | None
    """None for a parallel call, which only the first one's signature covers."""
    upstream_id: str | None
    """Upstream's own id of the call; the client knows only ours."""


class SignatureLookup(Protocol):
    """Where signatures are remembered."""

    def call(self, tool_call_id: str) -> StoredSignature | None:
        """What came with the call that the client knows by this id."""
        ...

    def text(self, digest: str) -> StoredSignature | None:
        """What came with an answer, by the ``text_digest`` of its whole text."""
        ...


def text_digest(text: str) -> str:
    """The key of a text signature; blank space at the ends does not matter (clients strip it)."""
    return hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()


def attach(
    contents: Sequence[Content],
    model_id: str,
    carried: Mapping[str, CarriedSignature],
    lookup: SignatureLookup,
) -> list[Content]:
    """Repaired ``contents`` with signatures and with the call ids that upstream knows.

    What is unknown in the current turn gets ``BYPASS``; older turns are not checked by Google.
    """
    signer = _Signer(model_id, carried, lookup)
    start = _current_turn(contents)
    return [signer.content(content, index >= start) for index, content in enumerate(contents)]


def own_signatures(request: GenerateRequest) -> list[str]:
    """Every signature of ``request`` that is not ``BYPASS``, each once."""
    found = (
        part.get("thoughtSignature")
        for content in request.get("contents", ())
        for part in content["parts"]
    )
    return list(dict.fromkeys(one for one in found if one and one != BYPASS))


def bypassed(request: GenerateRequest, only: Container[str] | None = None) -> GenerateRequest:
    """``request`` with ``BYPASS`` in place of the signatures in ``only`` (None: of all)."""
    gone = {one for one in own_signatures(request) if only is None or one in only}
    if not gone:
        return request
    contents: list[Content] = [
        {**content, "parts": [_bypassed(part, gone) for part in content["parts"]]}
        for content in request["contents"]
    ]
    return {**request, "contents": contents}


def _bypassed(part: Json, gone: Container[str]) -> Json:
    return {**part, "thoughtSignature": BYPASS} if part.get("thoughtSignature") in gone else part


def _current_turn(contents: Sequence[Content]) -> int:
    """Where the current turn begins: at the last thing the user said.

    Text beside results (a reminder) may or may not count as said; the earlier start is safe.
    """
    return max(
        (
            index
            for index, content in enumerate(contents)
            if content["role"] == "user" and not any(map(is_result, content["parts"]))
        ),
        default=0,
    )


@dataclass(frozen=True, slots=True)
class _Signer:
    model_id: str
    carried: Mapping[str, CarriedSignature]
    lookup: SignatureLookup

    def content(self, content: Content, in_current_turn: bool) -> Content:
        parts = [self._part(part) for part in content["parts"]]
        if content["role"] == "model":
            first = next((i for i, part in enumerate(parts) if "functionCall" in part), None)
            if first is None:
                self._sign_text(parts)
            elif in_current_turn and traits(self.model_id).signatures_required:
                parts[first] = {"thoughtSignature": BYPASS, **parts[first]}
        return {**content, "parts": parts}

    def _part(self, part: Json) -> Json:
        for kind in ("functionCall", "functionResponse"):
            if kind in part:
                client_id = str(part[kind].get("id", ""))
                named = {**part, kind: self._with_wire_id(part[kind], client_id)}
                signature = self._signature(client_id) if kind == "functionCall" else None
                return named | ({"thoughtSignature": signature} if signature else {})
        return part

    def _with_wire_id(self, call: Json, client_id: str) -> Json:
        """The call or result under the id that the target model issued, or at least accepts."""
        stored = self.lookup.call(client_id)
        rest = {key: value for key, value in call.items() if key != "id"}
        if stored is not None and stored.model == self.model_id and stored.upstream_id:
            return {"id": stored.upstream_id, **rest}
        return {"id": client_id, **rest} if traits(self.model_id).uses_call_ids else rest

    def _signature(self, client_id: str) -> str | None:
        stored = self.lookup.call(client_id)
        if stored is not None and stored.model != self.model_id:
            return None
        if stored is not None and stored.signature:
            return stored.signature
        carried = self.carried.get(client_id)
        if carried is None or carried.model not in (None, self.model_id):
            return None
        return carried.value if _looks_genuine(carried.value) else None

    def _sign_text(self, parts: list[Json]) -> None:
        """Give the last text part of an answer without calls its signature back, if known."""
        texts = [index for index, part in enumerate(parts) if "text" in part]
        if not texts:
            return
        stored = self.lookup.text(text_digest("".join(parts[index]["text"] for index in texts)))
        if stored is not None and stored.model == self.model_id and stored.signature:
            parts[texts[-1]] = {**parts[texts[-1]], "thoughtSignature": stored.signature}


def _looks_genuine(value: str) -> bool:
    """Base64 of a plausible size; anything else would make upstream refuse the whole request."""
    whole = len(value) % 4 == 0 and len(value) <= _LONGEST
    return whole and _BASE64.fullmatch(value) is not None
