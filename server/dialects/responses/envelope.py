"""Gemini thought signatures inside the ``encrypted_content`` of a Responses reasoning item.

Clients send reasoning items back as they got them, so the item before a call can carry what Gemini
wants to see again: ``gpx1.`` and the base64url of a JSON object with the version ``v``, the issuing
model ``m``, the signatures ``f`` by call id, and ``t``, the signature of the text before the item.
What OpenAI itself encrypted has no such prefix and means nothing to Gemini.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PREFIX = "gpx1."
_LONGEST = 1 << 20
_SIGNATURE = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The signatures of one reasoning item."""

    model: str | None = None
    """The upstream model id that issued them."""
    calls: Mapping[str, str] = field(default_factory=dict)
    """Tool-call id -> signature."""
    text: str | None = None
    """The signature of the message before this item."""


def seal(envelope: Envelope) -> str:
    """``envelope`` as the text of ``encrypted_content``."""
    named = {"v": 1, "m": envelope.model, "f": dict(envelope.calls), "t": envelope.text}
    content = json.dumps({name: value for name, value in named.items() if value})
    return _PREFIX + base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def unseal(text: object) -> Envelope | None:
    """What ``seal`` put into ``text``; None for an empty, a damaged or somebody else's one."""
    if not isinstance(text, str) or not text.startswith(_PREFIX) or len(text) > 2 * _LONGEST:
        return None
    payload = text.removeprefix(_PREFIX)
    try:
        padded = payload + "=" * (-len(payload) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    model, calls = found.get("m"), found.get("f")
    return Envelope(
        model if isinstance(model, str) else None,
        {
            call_id: signature
            for call_id, value in (calls.items() if isinstance(calls, dict) else ())
            if (signature := _signature(value)) is not None
        },
        _signature(found.get("t")),
    )


def _signature(value: object) -> str | None:
    """``value`` if it can be a signature (base64); upstream would refuse anything else."""
    if isinstance(value, str) and len(value) <= _LONGEST and _SIGNATURE.fullmatch(value):
        return value
    return None
