"""What the demo knows of a model, and the models themselves: those of the program's data file."""

from dataclasses import dataclass

from server.demo.errors import Json
from server.gemini.catalogue import catalogue
from server.gemini.known import Door, Kind, Known

FULL_INPUT = 1_048_576
FULL_OUTPUT = 65_536
UNARY_OUTPUT = 32_768
"""What one unary answer of a 4.x model may hold at most."""

_DOOR: Door = "paid"
_CACHE_FLOOR = 4096
_GENERATES = ("generateContent", "countTokens")
_OTHER_METHODS: dict[Kind, tuple[str, ...]] = {
    "embedding": ("embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent"),
    "live": ("bidiGenerateContent",),
    "interactions": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the models of one generation share."""

    signs: bool = False
    """Thought signatures are demanded back with function calls."""
    matches_ids: bool = False
    """Function results must carry the call's id and name."""
    prefills: bool = True
    """The last turn may be the model's."""
    continues: bool = False
    """One window for input, thoughts and output; long answers come in hops."""
    cache_floor: int = _CACHE_FLOOR
    """Shorter prefixes never come from the implicit cache."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model and the limits that requests to it are held to."""

    id: str
    family: Family = Family()
    kind: str = "chat"
    alias_of: str | None = None
    """The model that answers for this name."""
    budget: tuple[int, int] | None = None
    """Accepted ``thinkingBudget`` besides -1; None: the field is refused."""
    can_stop_thinking: bool = False
    """Budget 0 is accepted."""
    levels: tuple[str, ...] = ()
    """Accepted ``thinkingLevel``; empty: the field is refused."""
    default_level: str | None = None
    """How much it thinks unasked; None: not at all."""
    input_limit: int = FULL_INPUT
    output_limit: int = FULL_OUTPUT
    methods: tuple[str, ...] = _GENERATES
    title: str = ""

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

    def described(self) -> Json:
        """The entry of ``models.list``."""
        described: Json = {
            "name": f"models/{self.id}",
            "version": "latest" if self.id.endswith("latest") else "001",
            "displayName": self.title or self.id.replace("-", " ").title(),
            "description": "Its answers are made up.",
            "inputTokenLimit": self.input_limit,
            "outputTokenLimit": self.output_limit,
            "supportedGenerationMethods": list(self.methods),
        }
        if not self.embeds:
            described |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}
        if self.kind not in {"embedding", "tts"}:
            described["thinking"] = True
        return described


def models() -> tuple[Model, ...]:
    """Every model that an old paid key may ask for, on the day the data file was checked: none ever
    retires here.
    """
    day = catalogue().checked
    found = []
    for known in catalogue().models():
        answering = catalogue().answering(known.id, _DOOR, day)
        if _DOOR in answering.doors and not answering.ended(_DOOR, day):
            found.append(_model(known, None if answering is known else answering.id))
    return tuple(found)


def _model(known: Known, alias_of: str | None) -> Model:
    traits = known.traits
    budget = traits.budget
    default = traits.default_level or ("medium" if traits.thinks_by_default else None)
    return Model(
        id=known.id,
        family=Family(
            signs=traits.signatures_required,
            matches_ids=traits.uses_call_ids,
            prefills=traits.prefill,
            continues=traits.continuation,
            cache_floor=traits.cache_floor_tokens or _CACHE_FLOOR,
        ),
        kind=known.kind,
        alias_of=alias_of,
        budget=None if budget is None else (budget.low, budget.high),
        can_stop_thinking=budget is not None and budget.can_be_off,
        levels=tuple(level.upper() for level in traits.levels),
        default_level=default and default.upper(),
        input_limit=known.context_tokens,
        output_limit=traits.output_tokens,
        methods=_OTHER_METHODS.get(known.kind, _GENERATES),
        title=known.name,
    )
