"""Thought signatures: opaque bytes, good only for the model that issued them.

They prove themselves (a nonce and its keyed hash), so nothing is remembered, and a restarted
program still knows its own. Rules: ai.google.dev, *Thought signatures*.
"""

import base64
import hashlib
from dataclasses import dataclass

from server.demo.proto import decode_bytes

BYPASS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""Documented values that switch the check off, written plainly or in base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A backend of Google's; it takes no signature that another backend issued."""

    secret: bytes = b"the Gemini API of gemini-api-proxy"
    refusal: str = "Corrupted thought signature."
    """What it says of any other signature."""

    def issue(self, model_id: str, seed: str) -> str:
        """The signature of ``model_id`` for a piece of thinking named by ``seed``."""
        nonce = hashlib.sha256(seed.encode()).digest()
        return base64.b64encode(nonce + self._proof(model_id, nonce)).decode()

    def takes(self, signature: str, model_id: str) -> bool:
        """Whether ``model_id`` takes this signature: its own, or a bypass value."""
        data = decode_bytes(signature) or b""
        if signature in BYPASS or data.decode("ascii", "replace") in BYPASS:
            return True
        return data[32:] == self._proof(model_id, data[:32])

    def _proof(self, model_id: str, nonce: bytes) -> bytes:
        first = hashlib.sha256(self.secret + model_id.encode() + nonce).digest()
        return first + hashlib.sha256(first).digest()


GEMINI_API = Signer()
