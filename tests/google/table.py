"""The fake Google's models, written from the dossier ``google-2026-11.md`` (tables 1.1 to 1.3).

It is never read from the program's own data file: ``tests/server/demo/test_catalogue.py`` lists
where the two differ.
"""

from tests.google.catalogue import (
    GLOBAL,
    MULTI_REGION,
    UNCACHED,
    V2_5,
    V3,
    V3_5,
    V3_6,
    V4,
    FakeModel,
    Kind,
    Price,
)
from tests.google.messages import Door

_ALL = ("MINIMAL", "LOW", "MEDIUM", "HIGH")
_LMH = ("LOW", "MEDIUM", "HIGH")
_ANY_BUDGET = (1, 32_768)
"""3.x still takes a budget, for compatibility; 4.x refuses it."""
_DEV: tuple[Door, ...] = ("gemini-api",)
_CA: tuple[Door, ...] = ("code-assist",)
_VERTEX: tuple[Door, ...] = ("vertex",)
_DEV_VERTEX: tuple[Door, ...] = ("gemini-api", "vertex")

_FLASH_3_8 = (
    Price(input=0.75, output=3.75, cached=0.075),
    Price(since="2027-01-01", input=1.5, output=7.5, cached=0.15),
)
"""The dossier names no cached price for 2027; a tenth of the input, as before."""
_ARGON = (
    Price(input=2, output=10, cached=0.1),
    Price(since="2026-12-01", input=4, output=20, cached=0.2),
)

TEXT: tuple[FakeModel, ...] = (
    FakeModel(
        id="gemini-2.5-pro",
        family=V2_5,
        released="2025-06-17",
        ends={"gemini-api": "2026-12-01", "vertex": "2027-03-31"},
        routed_to="gemini-3.8-flash",
        closed={"gemini-api": "2026-07-21", "vertex": "2026-10-20"},
        prices=(Price(input=1.25, output=10, cached=0.125, above_200k=(2.5, 15)),),
        budget=(128, 32_768),
        default_level="MEDIUM",
    ),
    FakeModel(
        id="gemini-2.5-flash",
        family=V2_5,
        released="2025-06-17",
        ends={"gemini-api": "2026-12-01", "vertex": "2027-03-31"},
        routed_to="gemini-3.5-flash-lite",
        closed={"gemini-api": "2026-07-21", "vertex": "2026-10-20"},
        prices=(Price(input=0.3, output=2.5, cached=0.03),),
        budget=(1, 24_576),
        can_stop_thinking=True,
        default_level="MEDIUM",
    ),
    FakeModel(
        id="gemini-2.5-flash-lite",
        family=V2_5,
        released="2025-07-22",
        ends={"vertex": "2027-01-28"},
        closed={"gemini-api": "2026-07-21", "vertex": "2026-10-20"},
        prices=(Price(input=0.1, output=0.4, cached=0.01),),
        budget=(512, 24_576),
        can_stop_thinking=True,
    ),
    FakeModel(
        id="gemini-3-flash-preview",
        family=V3,
        released="2025-12-17",
        prices=(Price(input=0.5, output=3, cached=0.05),),
        budget=_ANY_BUDGET,
        can_stop_thinking=True,
        levels=_ALL,
        default_level="HIGH",
        places=GLOBAL,
    ),
    *(
        FakeModel(
            id=model_id,
            family=V3,
            released="2026-02-19",
            paid_only=True,
            prices=(Price(input=2, output=12, cached=0.2, above_200k=(4, 18)),),
            budget=_ANY_BUDGET,
            levels=_LMH,
            default_level="HIGH",
            places=GLOBAL,
        )
        for model_id in ("gemini-3.1-pro-preview", "gemini-3.1-pro-preview-customtools")
    ),
    FakeModel(
        id="gemini-3.1-flash-lite",
        family=V3,
        released="2026-05-07",
        ends={"gemini-api": "2027-05-07", "vertex": "2027-05-07"},
        prices=(Price(input=0.25, output=1.5, cached=0.025),),
        budget=_ANY_BUDGET,
        can_stop_thinking=True,
        levels=_ALL,
        default_level="MINIMAL",
    ),
    FakeModel(
        id="gemini-3.5-flash",
        family=V3_5,
        released="2026-05-19",
        ends={"gemini-api": "2026-10-08"},
        routed_to="gemini-3.6-flash",
        prices=(Price(input=1.5, output=9, cached=0.15),),
        budget=_ANY_BUDGET,
        can_stop_thinking=True,
        levels=_ALL,
        default_level="MEDIUM",
    ),
    FakeModel(
        id="gemini-3.5-flash-lite",
        family=V3_6,
        released="2026-07-21",
        prices=(Price(input=0.3, output=2.5, cached=0.03),),
        budget=_ANY_BUDGET,
        can_stop_thinking=True,
        levels=_ALL,
        default_level="MINIMAL",
    ),
    FakeModel(
        id="gemini-3.6-flash",
        family=V3_6,
        doors=_DEV_VERTEX,
        released="2026-07-21",
        ends={"vertex": "2027-01-28"},
        prices=_FLASH_3_8,
        budget=_ANY_BUDGET,
        can_stop_thinking=True,
        levels=_ALL,
        default_level="MEDIUM",
    ),
    FakeModel(
        id="gemini-3.7-flash",
        family=V3_6,
        doors=_DEV_VERTEX,
        released="2026-08-13",
        ends={"gemini-api": "2026-10-08", "vertex": "2027-01-28"},
        routed_to="gemini-3.8-flash",
        prices=_FLASH_3_8,
        budget=_ANY_BUDGET,
        can_stop_thinking=True,
        levels=_LMH,
        default_level="MEDIUM",
    ),
    FakeModel(
        id="gemini-3.8-flash",
        family=V3_6,
        released="2026-09-02",
        prices=_FLASH_3_8,
        budget=_ANY_BUDGET,
        can_stop_thinking=True,
        levels=_LMH,
        default_level="MEDIUM",
    ),
    FakeModel(
        id="gemini-4-argon",
        family=V4,
        places=MULTI_REGION,
        doors=_DEV_VERTEX,
        released="2026-10-13",
        paid_only=True,
        prices=_ARGON,
        levels=_LMH,
        default_level="MEDIUM",
        methods=UNCACHED,
    ),
    FakeModel(
        id="gemini-4-carbon",
        family=V4,
        places=MULTI_REGION,
        doors=_DEV_VERTEX,
        released="2026-11-10",
        paid_only=True,
        prices=_ARGON,
        levels=_LMH,
        default_level="MEDIUM",
        methods=UNCACHED,
    ),
    FakeModel(
        id="gemini-4-hydrogen",
        family=V4,
        places=MULTI_REGION,
        doors=_DEV_VERTEX,
        released="2026-11-12",
        prices=(Price(input=1.5, output=7.5, cached=0.075),),
        levels=(*_LMH, "XHIGH"),
        default_level="HIGH",
        methods=UNCACHED,
    ),
    FakeModel(
        id="gemini-4-neon",
        family=V4,
        places=MULTI_REGION,
        doors=_DEV_VERTEX,
        released="2026-11-18",
        paid_only=True,
        prices=(Price(input=3, output=15, cached=0.15),),
        levels=(*_LMH, "XHIGH"),
        default_level="HIGH",
        methods=UNCACHED,
    ),
    *(
        FakeModel(
            id=model_id,
            doors=_DEV,
            input_limit=262_144,
            output_limit=32_768,
            prices=(Price(input=0, output=0, cached=0),),
        )
        for model_id in ("gemma-4-31b-it", "gemma-4-26b-a4b-it")
    ),
)
"""Table 1.1."""


def _latest(model_id: str, target: str) -> FakeModel:
    return FakeModel(id=model_id, doors=_DEV, alias_of=target, methods=UNCACHED)


LATEST = (
    _latest("gemini-flash-latest", "gemini-3.8-flash"),
    _latest("gemini-flash-lite-latest", "gemini-3.5-flash-lite"),
    _latest("gemini-pro-latest", "gemini-3.1-pro-preview"),
)
"""They move without notice; these targets follow LiteLLM's prices."""


def _code_assist(model_id: str, levels: tuple[str, ...], default: str) -> FakeModel:
    """What only Code Assist knows by this name (Gemini CLI 0.61 ``config/models.js``)."""
    return FakeModel(
        id=model_id,
        family=V3,
        doors=_CA,
        budget=_ANY_BUDGET,
        can_stop_thinking="flash" in model_id,
        levels=levels,
        default_level=default,
    )


CODE_ASSIST = (
    _code_assist("gemini-3-pro-preview", ("LOW", "HIGH"), "HIGH"),
    _code_assist("gemini-3-flash", _ALL, "MEDIUM"),
)


def _other(kind: Kind, model_id: str, *methods: str, **more: object) -> FakeModel:
    facts: dict[str, object] = {"doors": _DEV, "methods": methods, **more}
    return FakeModel(id=model_id, kind=kind, **facts)  # type: ignore[arg-type]


def _image(model_id: str, **more: object) -> FakeModel:
    limits: dict[str, object] = {"input_limit": 65_536, "output_limit": 32_768, "paid_only": True}
    methods = ("generateContent", "countTokens")
    return _other("image", model_id, *methods, **{"doors": _DEV_VERTEX, **limits, **more})


def _tts(model_id: str, *prices: Price, **more: object) -> FakeModel:
    limits: dict[str, object] = {"input_limit": 8192, "output_limit": 16_384, "prices": prices}
    return _other("tts", model_id, "generateContent", "countTokens", **limits, **more)


def _embedding(
    model_id: str, input_limit: int, *, dimensions: int = 3072, doors: tuple[Door, ...]
) -> FakeModel:
    return FakeModel(
        id=model_id,
        kind="embedding",
        doors=doors,
        dimensions=dimensions,
        input_limit=input_limit,
        output_limit=1,
        methods=("embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent"),
    )


OTHERS = (
    _image("gemini-2.5-flash-image", ends={"gemini-api": "2027-03-15"}),
    _image("gemini-3-pro-image", title="Nano Banana Pro"),
    _image("gemini-3.1-flash-image", ends={"gemini-api": "2026-10-29"}),
    _image("gemini-3.1-flash-lite-image"),
    _image("gemini-nano-banana-2.1", title="Nano Banana 2.1"),
    _tts("gemini-3.1-flash-tts-preview", ends={"gemini-api": "2026-12-18"}),
    _tts(
        "gemini-3.8-flash-tts",
        Price(input=0.5, output=9, cached=0),
        doors=_DEV_VERTEX,
        places=MULTI_REGION,
        title="Gemini 3.8 Flash TTS",
    ),
    _tts(
        "gemini-3.8-flash-lite-tts",
        Price(input=0.5, output=6, cached=0),
        doors=_DEV_VERTEX,
        places=MULTI_REGION,
    ),
    _other(
        "transcribe",
        "gemini-3.5-transcribe",
        "generateContent",
        "countTokens",
        doors=_DEV_VERTEX,
        places=GLOBAL,
        prices=(Price(input=2, output=12, cached=0),),
    ),
    _other("live", "gemini-3.5-transcribe-live", "bidiGenerateContent"),
    _other("live", "gemini-3.8-live", "bidiGenerateContent", input_limit=131_072),
    _other("robotics", "gemini-robotics-er-2-preview", "generateContent", "countTokens"),
    _other("computer", "gemini-3.5-computer-use-preview", "generateContent", "countTokens"),
    _other("interactions", "gemini-omni-1.2-flash"),
    _other("interactions", "deep-research-pro-preview-12-2025", "generateContent", "countTokens"),
    _other("interactions", "deep-research-max-preview"),
    _other("interactions", "lyria-3-pro-preview", "generateContent", "countTokens"),
    _embedding("gemini-embedding-2", 8192, doors=_DEV_VERTEX),
    _embedding("gemini-embedding-001", 2048, doors=_DEV_VERTEX),
    _embedding("text-embedding-005", 2048, dimensions=768, doors=_VERTEX),
)
"""Table 1.3, and entries that a list shows beside the chat models. The dossier names robotics,
computer-use, deep-research and lyria entries by kind only: these ids are plausible ones."""

CATALOGUE: tuple[FakeModel, ...] = (*TEXT, *CODE_ASSIST, *LATEST, *OTHERS)
