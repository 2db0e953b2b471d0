"""What the fake knows of a model beside what a request to it may contain: which doors serve it,
until when, for whom, and for how much.

The table itself is ``table.py``; this file is its columns. Facts: dossier ``google-2026-11.md``,
tables 1.1 to 1.4. A day is an ISO date; days compare as text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from server.demo.catalogue import Family, Model
from server.demo.errors import Json
from tests.google.messages import Door

Kind = Literal[
    "text",
    "image",
    "tts",
    "transcribe",
    "embedding",
    "live",
    "interactions",
    "robotics",
    "computer",
]

GLOBAL = frozenset({"global"})
MULTI_REGION = frozenset({"global", "us", "eu"})

GENERATES = ("generateContent", "countTokens", "createCachedContent", "batchGenerateContent")
UNCACHED = ("generateContent", "countTokens", "batchGenerateContent")
"""What 4.x and the ``-latest`` names offer: no explicit caching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation(Family):
    """One column of the dossier's table 1.2."""

    samples: bool = True
    """``temperature``, ``topP`` and ``topK`` have an effect."""


V2_5 = Generation(cache_floor=2048)
V3 = Generation(signs=True)
V3_5 = Generation(signs=True, matches_ids=True)
V3_6 = Generation(signs=True, matches_ids=True, samples=False, prefills=False)
"""3.5 Flash-Lite and 3.6 to 3.8."""
V4 = Generation(signs=True, matches_ids=True, samples=False, prefills=False, continues=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens from ``since`` on."""

    since: str = ""
    input: float
    output: float
    cached: float
    above_200k: tuple[float, float] | None = None
    """Input and output of a prompt longer than 200,000 tokens."""


@dataclass(frozen=True, kw_only=True)
class FakeModel(Model):
    """One model, and when and where it is served."""

    family: Generation = Generation()
    kind: Kind = "text"
    doors: tuple[Door, ...] = ("code-assist", "gemini-api", "vertex")
    released: str = ""
    ends: Mapping[Door, str] = field(default_factory=dict)
    """The day from which a door no longer serves it."""
    routed_to: str | None = None
    """Who answers for it on the Gemini API from that day on; None: 404."""
    closed: Mapping[Door, str] = field(default_factory=dict)
    """The day from which keys and projects that never used it before get 404."""
    paid_only: bool = False
    """A free key has ``limit: 0``."""
    prices: tuple[Price, ...] = ()
    dimensions: int = 3072
    """The longest vector of an embedding model."""
    methods: tuple[str, ...] = GENERATES
    places: frozenset[str] | None = None
    """Where Vertex AI serves it; None: everywhere."""

    def cache_floor(self, door: Door) -> int:
        """The shortest prefix that the implicit cache of ``door`` serves."""
        if self.id == "gemini-4-argon" and door == "vertex":
            return 6144
        return self.family.cache_floor

    def ended(self, door: Door, day: str) -> bool:
        """Whether ``door`` has stopped serving it by ``day``."""
        return door in self.ends and day >= self.ends[door]

    def closed_to_new(self, door: Door, day: str) -> bool:
        """Whether keys and projects without a past are refused by ``day``."""
        return door in self.closed and day >= self.closed[door]

    def served_in(self, place: str) -> bool:
        """Whether Vertex AI serves it in this location."""
        return self.places is None or place in self.places

    def status(self, door: Door, day: str) -> Json | None:
        """``modelStatus`` of an answer; only the Gemini API has it, and only with news."""
        if door != "gemini-api":
            return None
        end = self.ends.get(door)
        if end or self.closed_to_new(door, day):
            told: Json = {"modelStage": "LEGACY", "message": "Use a newer model."}
            return told | ({"retirementTime": f"{end}T00:00:00Z"} if end else {})
        return {"modelStage": "PREVIEW"} if "preview" in self.id else None


def find(models: Iterable[FakeModel], model_id: str) -> FakeModel | None:
    """The entry of a table."""
    return next((model for model in models if model.id == model_id), None)


def served(models: Iterable[FakeModel], asked: FakeModel, door: Door, day: str) -> FakeModel | None:
    """Who answers for ``asked``: itself, the model behind its name, or where it is routed to.

    None: nobody does any more. Google routes on the Gemini API only, and does not say so.
    """
    table = tuple(models)
    model: FakeModel | None = asked
    while model is not None:
        if model.alias_of is not None:
            model = find(table, model.alias_of)
        elif not model.ended(door, day):
            return model
        elif door == "gemini-api" and model.routed_to is not None:
            model = find(table, model.routed_to)
        else:
            return None
    return None
