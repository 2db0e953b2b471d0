"""The models of the fake and what each can do (Gemini model pages; Gemini CLI ``models.js``)."""

import re
from dataclasses import dataclass
from functools import cached_property

from server.google_fake.http import Json

FULL_INPUT = 1_048_576
FULL_OUTPUT = 65_536


@dataclass(frozen=True, kw_only=True)
class FakeModel:
    """One model and the limits that requests to it are held to."""

    id: str
    budget: tuple[int, int] | None = None
    """Accepted ``thinkingBudget`` besides -1; None: the field is refused."""
    can_stop_thinking: bool = False
    """Budget 0 is accepted."""
    levels: tuple[str, ...] = ()
    """Accepted ``thinkingLevel``; empty: the field is refused."""
    default_level: str | None = None
    """How much it thinks unasked; None: not at all."""
    embeds: bool = False
    on_code_assist: bool = True
    on_gemini_api: bool = True
    on_vertex: bool = True
    dimensions: int = 3072
    """The longest vector of an embedding model."""
    input_limit: int = FULL_INPUT
    output_limit: int = FULL_OUTPUT

    @cached_property
    def version(self) -> tuple[int, int]:
        found = re.search(r"-(\d+)(?:\.(\d+))?", self.id)
        return (int(found[1]), int(found[2] or 0)) if found else (0, 0)

    @property
    def signs(self) -> bool:
        """Thought signatures are demanded back with function calls."""
        return self.version >= (3, 0)

    @property
    def matches_ids(self) -> bool:
        """Function results must carry the call's id and name; the last turn must be the user's."""
        return self.version >= (3, 5)

    def described(self) -> Json:
        """The entry of ``models.list``."""
        methods = ["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"]
        if self.embeds:
            methods = ["embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent"]
        described: Json = {
            "name": f"models/{self.id}",
            "version": "001",
            "displayName": self.id.replace("-", " ").title(),
            "description": "Served by the fake Google of gemini-api-proxy.",
            "inputTokenLimit": self.input_limit,
            "outputTokenLimit": self.output_limit,
            "supportedGenerationMethods": methods,
        }
        if not self.embeds:
            described |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}
            described["thinking"] = True
        return described


_ALL = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_LMH = ("LOW", "MEDIUM", "HIGH")
_ANY_BUDGET = (1, 32_768)
"""3.x still takes a budget, for compatibility; 4.x refuses it."""


def _three(model_id: str, levels: tuple[str, ...], default: str, **more: bool) -> FakeModel:
    return FakeModel(
        id=model_id,
        budget=_ANY_BUDGET,
        can_stop_thinking="flash" in model_id,
        levels=levels,
        default_level=default,
        **more,
    )


def _embedding(
    model_id: str, input_limit: int, *, dimensions: int = 3072, on_gemini_api: bool = True
) -> FakeModel:
    return FakeModel(
        id=model_id,
        embeds=True,
        on_code_assist=False,
        on_gemini_api=on_gemini_api,
        dimensions=dimensions,
        input_limit=input_limit,
        output_limit=1,
    )


CATALOGUE: tuple[FakeModel, ...] = (
    FakeModel(id="gemini-2.5-pro", budget=(128, 32_768), default_level="MEDIUM"),
    FakeModel(
        id="gemini-2.5-flash", budget=(1, 24_576), can_stop_thinking=True, default_level="MEDIUM"
    ),
    FakeModel(id="gemini-2.5-flash-lite", budget=(512, 24_576), can_stop_thinking=True),
    _three("gemini-3-pro-preview", ("LOW", "HIGH"), "HIGH", on_gemini_api=False),
    _three("gemini-3.1-pro-preview", _LMH, "HIGH"),
    _three("gemini-3.1-pro-preview-customtools", _LMH, "HIGH"),
    _three("gemini-3-flash-preview", _ALL, "HIGH"),
    _three("gemini-3-flash", _ALL, "MEDIUM", on_gemini_api=False),
    _three("gemini-3.1-flash-lite", _ALL, "MINIMAL"),
    _three("gemini-3.5-flash", _ALL, "MEDIUM"),
    _three("gemini-3.5-flash-lite", _ALL, "MINIMAL"),
    _three("gemini-3.6-flash", _ALL, "MEDIUM", on_code_assist=False),
    _three("gemini-3.7-flash", _LMH, "MEDIUM", on_code_assist=False),
    _three("gemini-3.8-flash", _LMH, "MEDIUM"),
    FakeModel(id="gemini-4-argon", levels=_LMH, default_level="MEDIUM", on_code_assist=False),
    FakeModel(
        id="gemini-4-neon", levels=(*_LMH, "XHIGH"), default_level="HIGH", on_code_assist=False
    ),
    _embedding("gemini-embedding-2", 8192),
    _embedding("gemini-embedding-001", 2048),
    _embedding("text-embedding-005", 2048, dimensions=768, on_gemini_api=False),
)
