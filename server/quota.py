"""What Google says is left, by model family: few enough lines for a menu."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.gemini.traits import Kind, traits
from server.upstreams.code_assist import Quota

_NAMES: dict[Kind, str] = {"pro": "Pro", "flash": "Flash", "flash-lite": "Flash-Lite"}
"""In the order of the menu."""


@dataclass(frozen=True, slots=True)
class FamilyQuota:
    """The emptiest bucket of one family: the first that a user will feel."""

    name: str
    percent: int
    """Left, 0 to 100, rounded down: 1 is not nothing, and 99 is not all."""
    reset_at: float | None
    """Unix seconds."""


def by_family(quota: Sequence[Quota]) -> tuple[FamilyQuota, ...]:
    """One line a family; none for a family of which Google tells no fraction."""
    found = []
    for kind, name in _NAMES.items():
        known = [
            (min(1.0, max(0.0, bucket.remaining_fraction)), bucket.reset_at)
            for bucket in quota
            if bucket.remaining_fraction is not None and traits(bucket.model).kind == kind
        ]
        if known:
            left, reset_at = min(known, key=lambda one: (one[0], -(one[1] or 0)))
            found.append(FamilyQuota(name, int(100 * left + 1e-6), reset_at))
    return tuple(found)
