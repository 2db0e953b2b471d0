"""The vocabulary of what is known of models: an object for each id, and one for the whole table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal, get_args

from server.gemini.types import Level

Door = Literal["free", "paid", "vertex", "code-assist"]
"""How a request reaches Google: a free or a paid key of the Gemini API, Vertex AI, Code Assist.
A key of unknown kind counts as free."""
DOORS: tuple[Door, ...] = get_args(Door)

Tier = Literal["best", "main", "fast"]
TIERS: tuple[Tier, ...] = get_args(Tier)

Kind = Literal["chat", "image", "tts", "transcribe", "embedding", "live", "interactions", "other"]
"""``live``: over a WebSocket only; ``interactions``: through the Interactions API only."""
KINDS: tuple[Kind, ...] = get_args(Kind)

LEVELS: tuple[Level, ...] = ("off", "minimal", "low", "medium", "high", "xhigh")
"""Every wish a client can have, from least to most."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The accepted ``thinkingBudget``, in tokens; -1 (the model decides) is accepted by all."""

    low: int
    high: int
    can_be_off: bool = True
    """0 is accepted, and ends thinking."""
    off_by_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The abilities that decide what a request to one model may contain."""

    levels: tuple[Level, ...] = ()
    """Accepted ``thinkingLevel``, least first; empty: the field is refused."""
    default_level: Level | None = None
    """None: not known."""
    budget: Budget | None = None
    """Accepted ``thinkingBudget``; a model with levels gets no budget."""
    uses_sampling: bool = True
    """``temperature``, ``topP`` and ``topK`` have an effect."""
    penalties: bool = False
    """``presencePenalty`` and ``frequencyPenalty`` are accepted."""
    signatures_required: bool = False
    """A function call in the current turn must come back with its thought signature."""
    uses_call_ids: bool = False
    """Calls carry ids, and results are matched by them."""
    media_in_results: bool = False
    """``functionResponse.parts`` may hold images and PDFs."""
    json_with_tools: bool = False
    """A JSON answer format and tools may stand in one request."""
    builtin_with_tools: bool = False
    """Google's own tools and functions may stand in one request (Gemini API only)."""
    prefill: bool = True
    """The last turn may be the model's own."""
    candidate_count: tuple[Door, ...] = ()
    """Where ``candidateCount`` may be above 1."""
    continuation: bool = False
    """An answer may go on in a further request (``continuationToken``)."""
    caching: bool = False
    """``cachedContents`` are accepted."""
    cache_floor_tokens: int = 0
    """The shortest prompt that Google caches by itself; 0: not known."""
    one_window: bool = False
    """Input, thoughts and output share the context; else the output has room of its own."""
    output_tokens: int = 65_536
    """The most of one streamed request."""
    unary_output_tokens: int = 65_536
    """The most of one request that is not streamed."""

    @property
    def thinks_by_default(self) -> bool:
        return bool(self.levels) or (self.budget is not None and not self.budget.off_by_default)

    @property
    def ignores_sampling(self) -> bool:
        """``temperature``, ``topP`` and ``topK`` have no effect (and may be refused)."""
        return not self.uses_sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars for a million tokens, from a day on."""

    since: date | None = None
    """None: from the beginning."""
    input: float
    output: float
    """Thoughts are billed as output."""
    cached: float | None = None
    """Input read from the cache; None: not known."""
    above_tokens: int | None = None
    """A prompt longer than this is billed at the prices of ``above``, all of it."""
    above: "Price | None" = None

    def times(self, factor: float) -> "Price":
        """The price of another service tier."""
        return replace(
            self,
            input=self.input * factor,
            output=self.output * factor,
            cached=None if self.cached is None else self.cached * factor,
            above=None if self.above is None else self.above.times(factor),
        )


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for an id are answered by another model, from a day on, at some doors."""

    to: str
    since: date
    doors: tuple[Door, ...]
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one id."""

    id: str
    listed: bool = True
    """It stands in the table; False: an id of which only its words are known."""
    name: str = ""
    """What a person calls it."""
    kind: Kind = "chat"
    preview: bool = False
    free_unknown: bool = False
    """Whether free keys are served is not known: an answer or a refusal says nothing of a key."""
    released: date | None = None
    doors: tuple[Door, ...] = ()
    end_days: Mapping[Door, date] = field(default_factory=dict)
    """The first day without it, by door."""
    not_before: Mapping[Door, date] = field(default_factory=dict)
    """No end is announced, and none will be before this day."""
    closed: Mapping[Door, date] = field(default_factory=dict)
    """From this day on only credentials that had used it are served."""
    successor: str | None = None
    """What Google names in its place."""
    stands_for: str | None = None
    """A name that Google moves: the model it leads to now."""
    spelling: Mapping[Door, str] = field(default_factory=dict)
    """Another id that a door knows it by."""
    locations: tuple[str, ...] = ()
    """The only locations of Vertex AI that serve it; empty: any."""
    context_tokens: int = 1_048_576
    predict: int = 0
    """Vertex AI embeds through ``predict``, this many texts in one; 0: through ``embedContent``."""
    grounding: float | None = None
    """US dollars for 1,000 searches."""
    prices: tuple[Price, ...] = ()
    """Oldest first; empty: not known."""
    routes: tuple[Route, ...] = ()
    traits: Traits = field(default_factory=Traits)
    source: Mapping[str, str] = field(default_factory=dict)
    """Where each fact comes from, by its name in the file."""
    tier_factors: Mapping[str, float] = field(default_factory=dict, repr=False)

    def ends(self, door: Door) -> date | None:
        """The first day on which ``door`` no longer has it; None: no end is known."""
        return self.end_days.get(door)

    def ended(self, door: Door, on: date) -> bool:
        end = self.ends(door)
        return end is not None and on >= end

    def route(self, door: Door, on: date) -> str | None:
        """The model that answers in its place, or None when it answers itself."""
        if self.stands_for is not None:
            return self.stands_for
        for route in self.routes:
            if door in route.doors and on >= route.since:
                return route.to
        return None

    def living(self, door: Door, on: date) -> bool:
        """A new credential may ask ``door`` for it, and it answers itself."""
        closed = self.closed.get(door)
        return (
            door in self.doors
            and not self.ended(door, on)
            and self.route(door, on) is None
            and (closed is None or on < closed)
        )

    def price(self, on: date, tier: str = "standard") -> Price | None:
        """The price on a day; None: not known. ``tier``: standard, flex, batch or priority."""
        valid = [price for price in self.prices if price.since is None or on >= price.since]
        if not valid or tier == "standard":
            return valid[-1] if valid else None
        factor = self.tier_factors.get(tier)
        return None if factor is None else valid[-1].times(factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What the data file says, once it is read (``catalogue_file``)."""

    checked: date
    """The day on which its facts were true."""
    newest: Known
    """What an id outside the table has, whatever it is called."""
    families: tuple[str, ...]
    """The first words of ids that generate text."""
    embeddings: tuple[str, ...]
    """What OpenAI's names for embedding models mean: the first that is listed."""
    models: Mapping[str, Known]
    words: Mapping[Kind, frozenset[str]]
    preferences: Mapping[Door, Mapping[Tier, tuple[str, ...]]]
    quota_families: tuple[tuple[str, frozenset[str]], ...] = ()
