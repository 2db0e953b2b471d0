"""What Google says is left, by model family: few enough lines for a menu."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.gemini.catalogue import catalogue
from server.upstreams.code_assist import Quota


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
    known = catalogue()
    emptiest: dict[str, tuple[float, float | None]] = {}
    for bucket in quota:
        family = known.quota_family(bucket.model)
        if family is None or bucket.remaining_fraction is None:
            continue
        one = (min(1.0, max(0.0, bucket.remaining_fraction)), bucket.reset_at)
        emptiest[family] = min(emptiest.get(family, one), one, key=lambda o: (o[0], -(o[1] or 0)))
    return tuple(
        FamilyQuota(name, int(100 * left + 1e-6), reset_at)
        for name in known.quota_families
        if name in emptiest
        for left, reset_at in (emptiest[name],)
    )
