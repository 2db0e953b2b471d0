"""A Gemini thought signature inside the ``signature`` of an Anthropic thinking block.

Anthropic clients send thinking blocks back as they got them, so the block before a ``tool_use`` can
carry what Gemini wants to see again: ``gp1.<upstream model>~<base64url of the signature>``. A real
Claude signature has no such prefix and means nothing to Gemini.
"""

import base64
import binascii

from server.gemini.types import CarriedSignature

_PREFIX = "gp1."


def seal(signature: str | None, model: str | None) -> str:
    """The envelope for ``signature``; an empty one when there is none.

    Clients expect the key in every thinking block and may drop a block without it.
    """
    payload = base64.urlsafe_b64encode((signature or "").encode()).decode()
    return f"{_PREFIX}{model or ''}~{payload}"


def unseal(text: str) -> CarriedSignature | None:
    """What ``seal`` put into ``text``; None for an empty, a damaged or somebody else's one."""
    model, separator, payload = text.removeprefix(_PREFIX).partition("~")
    if not text.startswith(_PREFIX) or not separator:
        return None
    try:
        signature = base64.b64decode(payload, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return CarriedSignature(signature, model or None) if signature else None
