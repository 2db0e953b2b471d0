"""Tool names: what clients call a tool, and the name Gemini accepts for it."""

import hashlib
import re

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64


class ToolNames:
    """A reversible map between the client's tool names and legal Gemini function names.

    Legal everywhere: ``[A-Za-z_][A-Za-z0-9_-]{0,63}`` (older back ends refuse ``.`` and ``:``).
    Names that collide after cleaning get six hex digits of their SHA-256.
    """

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}
        self._client: dict[str, str] = {}

    def send(self, name: str) -> str:
        """The name to send upstream for the client's ``name``; the same one every time."""
        known = self._sent.get(name)
        if known is not None:
            return known
        legal = _FORBIDDEN.sub("_", name) or "_"
        if not (legal[0].isalpha() or legal[0] == "_"):
            legal = "_" + legal
        if len(legal) > _LONGEST or legal in self._client:
            digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
            marked = (f"{legal[: _LONGEST - 7]}_{digest[i : i + 6]}" for i in range(58))
            legal = next(candidate for candidate in marked if candidate not in self._client)
        self._sent[name] = legal
        self._client[legal] = name
        return legal

    def client(self, sent: str) -> str:
        """The client's own name for a function the model called.

        Models sometimes write the prefix ``default_api:`` that Google uses internally.
        """
        if sent in self._client:
            return self._client[sent]
        bare = sent.removeprefix("default_api:").removeprefix("default_api.")
        return self._client.get(bare, bare)
