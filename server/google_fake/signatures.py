"""Thought signatures: opaque bytes, good only for the model that issued them.

The fake's signatures prove themselves (a nonce and its keyed hash), so nothing is remembered and a
restarted fake still knows its own. Rules: ai.google.dev, *Thought signatures*.
"""

import base64
import hashlib

from server.google_fake.messages import Door
from server.google_fake.proto import decode_bytes

BYPASS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""Documented values that switch the check off, written plainly or in base64."""

_SECRET = b"the fake Google of gemini-api-proxy"


def issue(model_id: str, seed: str, door: Door = "gemini-api") -> str:
    """The signature of ``model_id`` behind ``door`` for a piece of thinking named by ``seed``."""
    nonce = hashlib.sha256(seed.encode()).digest()
    return base64.b64encode(nonce + _proof(model_id, nonce, door)).decode()


def is_valid(signature: str, model_id: str, door: Door = "gemini-api") -> bool:
    """Whether ``model_id`` takes this signature: its own from this backend, or a bypass value."""
    data = decode_bytes(signature) or b""
    if signature in BYPASS or data.decode("ascii", "replace") in BYPASS:
        return True
    return data[32:] == _proof(model_id, data[:32], door)


def refused(door: Door) -> str:
    """What a backend says of a broken signature, or of one that another backend issued."""
    return "Invalid thought signature." if door == "vertex" else "Corrupted thought signature."


def _proof(model_id: str, nonce: bytes, door: Door) -> bytes:
    """Code Assist is a door of the cloud, like Vertex AI; the Gemini API is a backend apart."""
    backend = b"" if door == "gemini-api" else b"cloud"
    first = hashlib.sha256(_SECRET + backend + model_id.encode() + nonce).digest()
    return first + hashlib.sha256(first).digest()
