"""What a model can do, told from its id.

Ids we have never seen get the abilities of their number: a later generation keeps what the earlier
ones had. Facts: Gemini model pages (*Thinking*, *Function calling*), protocol notes
``code-assist.md`` section 6.7.
"""

import re
from dataclasses import dataclass
from typing import Literal

from server.gemini.types import Level

Kind = Literal["pro", "flash", "flash-lite", "special", "other"]
"""``special``: made for images or sound; its thinking cannot be steered."""

LEVELS: tuple[Level, ...] = ("off", "minimal", "low", "medium", "high", "xhigh")
"""Every wish a client can have, from least to most."""

_SPECIAL = frozenset(("image", "tts", "audio", "live", "embedding", "computer", "robotics"))
_VERSION = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?=-|$)")
_LATEST = (4, 0)
"""What ``gemini-flash-latest`` counts as: its levels are those every recent model takes."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The accepted ``thinkingBudget``, in tokens; -1 (the model decides) is accepted by all."""

    low: int
    high: int
    can_be_off: bool = True
    """0 is accepted, and ends thinking."""
    off_by_default: bool = False


@dataclass(frozen=True, slots=True)
class Traits:
    """The abilities that decide what a request to one model may contain."""

    version: tuple[int, int]
    """(3, 1) for ``gemini-3.1-pro-preview``; (0, 0) for what is no Gemini of a known number."""
    kind: Kind
    levels: tuple[Level, ...] = ()
    """Accepted ``thinkingLevel``, least first; empty: the field is refused."""
    budget: Budget | None = None
    """Accepted ``thinkingBudget``; a model with levels gets no budget."""

    @property
    def thinks_by_default(self) -> bool:
        return bool(self.levels) or (self.budget is not None and not self.budget.off_by_default)

    @property
    def signatures_required(self) -> bool:
        """A function call in the current turn must come back with its thought signature."""
        return self.version >= (3, 0)

    @property
    def uses_call_ids(self) -> bool:
        """Calls carry ids, and results are matched by them."""
        return self.version >= (3, 0)

    @property
    def media_in_results(self) -> bool:
        """``functionResponse.parts`` may hold images and PDFs."""
        return self.version >= (3, 0)

    @property
    def json_with_tools(self) -> bool:
        """A JSON answer format and tools may stand in one request."""
        return self.version >= (3, 0)

    @property
    def ignores_sampling(self) -> bool:
        """``temperature``, ``topP`` and ``topK`` have no effect (and may be refused)."""
        lite = self.kind == "flash-lite" and self.version >= (3, 5)
        return lite or self.version >= (3, 6)


def traits(model_id: str) -> Traits:
    """The traits of a Gemini id (without ``models/``)."""
    version, kind = _version(model_id), _kind(model_id)
    if kind == "special" or version < (2, 5):
        return Traits(version, kind)
    if version < (3, 0):
        return Traits(version, kind, budget=_budget(kind))
    return Traits(version, kind, levels=_levels(model_id, version, kind))


def _version(model_id: str) -> tuple[int, int]:
    if found := _VERSION.match(model_id):
        return int(found[1]), int(found[2] or 0)
    is_latest = model_id.startswith("gemini-") and model_id.endswith("-latest")
    return _LATEST if is_latest else (0, 0)


def _kind(model_id: str) -> Kind:
    words = model_id.split("-")
    if _SPECIAL.intersection(words):
        return "special"
    if "flash" in words:
        return "flash-lite" if "lite" in words else "flash"
    return "pro" if "pro" in words else "other"


def _budget(kind: Kind) -> Budget:
    match kind:
        case "flash":
            return Budget(1, 24_576)
        case "flash-lite":
            return Budget(512, 24_576, off_by_default=True)
        case _:
            return Budget(128, 32_768, can_be_off=False)


def _levels(model_id: str, version: tuple[int, int], kind: Kind) -> tuple[Level, ...]:
    if "neon" in model_id.split("-"):
        return ("low", "medium", "high", "xhigh")
    if kind == "pro" and version < (3, 1):
        return ("low", "high")
    # Flash gave up "minimal" with 3.7, flash-lite keeps it; all of generation 4 start at "low".
    has_minimal = kind == "flash-lite" or (kind == "flash" and version < (3, 7))
    if has_minimal and version < (4, 0):
        return ("minimal", "low", "medium", "high")
    return ("low", "medium", "high")
