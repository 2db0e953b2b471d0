"""Where in a client's schema something stands, and what could not be said of it.

A place is told by its path in the client's own document (``properties.when.not``), members of
lists as ``[]``; what stands behind a reference has the path it points at
(``$defs.Tree.properties.kids``), so that a definition used in many places is named once.
"""

from dataclasses import dataclass, field

MOST_NAMED = 1_000
"""Names kept of one schema: a body of megabytes could hold a hundred thousand."""
_LONGEST_STEP = 64


@dataclass(frozen=True, slots=True)
class Place:
    """One schema position; built for every node, so it is written out only when it is named."""

    step: str = ""
    above: "Place | None" = None

    def under(self, *steps: str) -> "Place":
        place = self
        for step in steps:
            place = Place(step, place)
        return place

    def path(self) -> str:
        steps: list[str] = []
        place: Place | None = self
        while place is not None:
            if place.step:
                steps.append(place.step[:_LONGEST_STEP])
            place = place.above
        return ".".join(reversed(steps))


ROOT = Place()


@dataclass(slots=True)
class Losses:
    """Paths of what a schema loses on its way to Gemini, each once, in the order met."""

    paths: dict[str, None] = field(default_factory=dict)

    def name(self, place: Place, keyword: str = "") -> None:
        """``keyword`` at ``place`` (or all that stands there) cannot be said."""
        if len(self.paths) < MOST_NAMED:
            self.paths[place.under(keyword).path()] = None
