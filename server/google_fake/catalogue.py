"""What the fake knows of a model: which doors serve it, until when, for whom, and what it takes.

The table itself is ``table.py``; this file is its columns. Facts: dossier ``google-2026-11.md``,
tables 1.1 to 1.4. A day is an ISO date; days compare as text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from server.google_fake.http import Json
from server.google_fake.messages import Door

FULL_INPUT = 1_048_576
FULL_OUTPUT = 65_536
UNARY_OUTPUT = 32_768
"""What one unary answer of a 4.x model may hold at most."""

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
class Family:
    """One column of the dossier's table 1.2."""

    number: tuple[int, int] = (0, 0)
    signs: bool = False
    """Thought signatures are demanded back with function calls."""
    matches_ids: bool = False
    """Function results must carry the call's id and name."""
    samples: bool = True
    """``temperature``, ``topP`` and ``topK`` have an effect."""
    prefills: bool = True
    """The last turn may be the model's."""
    caches: bool = True
    """Explicit caching."""
    continues: bool = False
    """One window for input, thoughts and output; long answers come in hops."""
    cache_floor: int = 4096
    """Shorter prefixes never come from the implicit cache."""


V2_5 = Family(number=(2, 5), cache_floor=2048)
V3 = Family(number=(3, 0), signs=True)
V3_5 = Family(number=(3, 5), signs=True, matches_ids=True)
V3_6 = Family(number=(3, 6), signs=True, matches_ids=True, samples=False, prefills=False)
"""3.5 Flash-Lite and 3.6 to 3.8."""
V4 = Family(
    number=(4, 0),
    signs=True,
    matches_ids=True,
    samples=False,
    prefills=False,
    caches=False,
    continues=True,
)
NO_GEMINI = Family()


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
class FakeModel:
    """One model and the limits that requests to it are held to."""

    id: str
    family: Family = NO_GEMINI
    kind: Kind = "text"
    doors: tuple[Door, ...] = ("code-assist", "gemini-api", "vertex")
    released: str = ""
    ends: Mapping[Door, str] = field(default_factory=dict)
    """The day from which a door no longer serves it."""
    routed_to: str | None = None
    """Who answers for it on the Gemini API from that day on; None: 404."""
    alias_of: str | None = None
    """The model behind a ``-latest`` name."""
    closed: Mapping[Door, str] = field(default_factory=dict)
    """The day from which keys and projects that never used it before get 404."""
    paid_only: bool = False
    """A free key has ``limit: 0``."""
    prices: tuple[Price, ...] = ()
    budget: tuple[int, int] | None = None
    """Accepted ``thinkingBudget`` besides -1; None: the field is refused."""
    can_stop_thinking: bool = False
    """Budget 0 is accepted."""
    levels: tuple[str, ...] = ()
    """Accepted ``thinkingLevel``; empty: the field is refused."""
    default_level: str | None = None
    """How much it thinks unasked; None: not at all."""
    dimensions: int = 3072
    """The longest vector of an embedding model."""
    input_limit: int = FULL_INPUT
    output_limit: int = FULL_OUTPUT
    methods: tuple[str, ...] = GENERATES
    title: str = ""
    places: frozenset[str] | None = None
    """Where Vertex AI serves it; None: everywhere."""

    @property
    def embeds(self) -> bool:
        return self.kind == "embedding"

    @property
    def signs(self) -> bool:
        """Thought signatures are demanded back with function calls."""
        return self.family.signs

    @property
    def matches_ids(self) -> bool:
        """Function results must carry the call's id and name."""
        return self.family.matches_ids

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

    def described(self) -> Json:
        """The entry of ``models.list``."""
        described: Json = {
            "name": f"models/{self.id}",
            "version": "latest" if self.alias_of else "001",
            "displayName": self.title or self.id.replace("-", " ").title(),
            "description": "Served by the fake Google of gemini-api-proxy.",
            "inputTokenLimit": self.input_limit,
            "outputTokenLimit": self.output_limit,
            "supportedGenerationMethods": list(self.methods),
        }
        if not self.embeds:
            described |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}
        if self.kind not in {"embedding", "tts"}:
            described["thinking"] = True
        return described

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
