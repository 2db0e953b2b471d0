"""The vocabulary every dialect and every upstream shares.

A dialect parses its client's JSON into a ``Call`` around a ``GenerateRequest``; an upstream answers
with ``Chunk`` objects (one ``GenerateContentResponse`` each). Both keep Gemini's camelCase, so that
fields we do not know survive. Shapes: Gemini API reference, *GenerateContent*.
"""

import secrets
import string
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from server.errors import NotFoundError
from server.gemini.names import ToolNames
from server.limits import NAME_CHARS

Json = dict[str, Any]

ID_LETTERS = string.ascii_letters + string.digits


class Content(TypedDict, total=False):
    """One turn: ``role`` is ``user`` or ``model``; ``parts`` are Gemini parts."""

    role: str
    parts: list[Json]


class GenerateRequest(TypedDict, total=False):
    """The body of ``generateContent``."""

    contents: list[Content]
    systemInstruction: Content
    tools: list[Json]
    toolConfig: Json
    generationConfig: Json
    safetySettings: list[Json]
    labels: dict[str, str]
    cachedContent: str


class Chunk(TypedDict, total=False):
    """One ``GenerateContentResponse``: a piece of the answer, or all of it."""

    candidates: list[Json]
    promptFeedback: Json
    usageMetadata: Json
    modelVersion: str
    modelStatus: Json
    responseId: str


Level = Literal["off", "minimal", "low", "medium", "high", "xhigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How much the client wants the model to think; ``gemini/fit.py`` turns it into thinkingConfig.

    Models up to 2.5 take the budget, later ones the level; a dialect may give either or both.
    All None: the model's own default.
    """

    level: Level | None = None
    budget_tokens: int | None = None
    """-1 lets the model decide (2.5 only)."""
    include: bool = False
    """Whether thought summaries are wanted in the answer."""
    headroom_tokens: int = 0
    """Added to maxOutputTokens when the model thinks although the client did not ask for it:
    Gemini counts thoughts inside that limit, the client did not."""
    config: Json | None = None
    """A thinkingConfig the client wrote itself; wins over everything else."""


@dataclass(frozen=True, slots=True)
class CarriedSignature:
    """A thought signature that came back inside the client's own JSON."""

    value: str
    model: str | None = None
    """The exact upstream model id that issued it, where the carrier says so."""


@dataclass(slots=True, kw_only=True)
class Download:
    """A part whose data stands behind an http(s) address, to be fetched before sending."""

    part: Json
    """The placeholder part inside the request; fetching turns it into ``inlineData``."""
    url: str
    param: str
    """Path of the field in the client's notation, for the error message."""
    media: tuple[str, ...] = ("image/",)
    """Accepted prefixes of the content type."""
    mime: str | None = None
    """The content type, where the client says it."""
    earlier: bool = False
    """It belongs to an earlier turn: a line of text stands in its place when it cannot be had."""
    place: str = ""
    """Path of the part, as ``x-proxy-dropped`` names it."""


@dataclass(slots=True, kw_only=True)
class Picture:
    """A part with an image of a type that Gemini does not take, to be changed before sending."""

    part: Json
    param: str
    """Path of the field in the client's notation, for the error message."""
    earlier: bool = False
    place: str = ""
    """Both as of a ``Download``."""


def _check_name(model: str) -> None:
    """Raises ``NotFoundError`` for what is too long to be a model's name: it is kept and shown."""
    if len(model) > NAME_CHARS:
        raise NotFoundError(
            f"There is no model with a name of more than {NAME_CHARS} characters.",
            param="model",
            code="model_not_found",
        )


@dataclass(slots=True, kw_only=True)
class Call:
    """One parsed request on its way up. Raises ``NotFoundError``: see ``model``."""

    dialect: str
    model: str
    """The name the client asked for; at most ``NAME_CHARS``."""
    request: GenerateRequest
    stream: bool = False
    thinking: Thinking = field(default_factory=Thinking)
    choices: int = 1
    """How many answers are wanted; each is an upstream request of its own."""
    parallel_tool_calls: bool = True
    """False: only the first function call of an answer is passed on."""
    stop: tuple[str, ...] = ()
    """Stop sequences matched by us, because upstream would not say which one it hit."""
    tool_names: ToolNames = field(default_factory=ToolNames)
    id_prefix: str = "call_"
    """How this dialect's tool-call ids begin."""
    carried: dict[str, CarriedSignature] = field(default_factory=dict)
    """Tool-call id -> signature found in the request itself."""
    downloads: list[Download] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    past_media: list[Json] = field(default_factory=list)
    """Media parts of earlier turns: left out when upstream cannot read one of the request."""
    session: str | None = None
    """Whatever identifies the conversation in the client's eyes; hashed before it is sent."""
    verbatim: bool = False
    """Gemini's own dialect: request and answer are passed on untouched."""
    dropped: tuple[str, ...] = ()
    """Request fields that could not be honoured (``x-proxy-dropped``)."""
    large: bool = False
    """Too large to be worked on inside the event loop."""
    options: object = None
    """The dialect's own notes from parse to encode."""

    def __post_init__(self) -> None:
        _check_name(self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedCall:
    """One parsed embeddings request."""

    dialect: str
    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    """Texts; or token ids, which only mock vectors can be made of."""
    dimensions: int | None = None
    task_type: str | None = None
    title: str | None = None
    requests: tuple[Json, ...] = ()
    """Gemini's own dialect: the client's ``EmbedContentRequest`` for each input."""
    dropped: tuple[str, ...] = ()
    options: object = None

    def __post_init__(self) -> None:
        _check_name(self.model)


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vectors of one embeddings request, in order, and the tokens counted for it."""

    vectors: tuple[tuple[float, ...], ...]
    prompt_tokens: int
    estimated: bool = False
    mock: bool = False
    """Hash-based stand-ins, not real embeddings; every place that shows them says so."""
    entries: tuple[Json, ...] = ()
    """For Gemini's own dialect: Google's ``ContentEmbedding`` of each input, as they came."""
    beside: Json = field(default_factory=dict)
    """For Gemini's own dialect: what Google's answer said beside them."""


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a request, and what Google said beside their number."""

    tokens: int
    answer: Json = field(default_factory=dict)
    """The body of ``countTokens``; empty where the number is an estimate."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens counted by upstream for one answer (``usageMetadata``, cumulative per chunk)."""

    prompt_tokens: int = 0
    """Prompt and tool-use prompt; includes ``cached_tokens``."""
    cached_tokens: int = 0
    candidates_tokens: int = 0
    thoughts_tokens: int = 0
    estimated: bool = False
    """True when upstream sent no usage and characters / 4 had to do."""

    @property
    def output_tokens(self) -> int:
        return self.candidates_tokens + self.thoughts_tokens

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.candidates_tokens + other.candidates_tokens,
            self.thoughts_tokens + other.thoughts_tokens,
            self.estimated or other.estimated,
        )


def new_id(prefix: str) -> str:
    """A short, opaque id that is unique for ever: Claude Code loops on a repeated one."""
    while True:
        try:
            return prefix + _IDS.pop()
        except IndexError:  # the system is asked for many at once; ``pop`` is safe in any thread
            letters = [_LETTERS[byte] for byte in secrets.token_bytes(4096) if byte in _LETTERS]
            whole = len(letters) - len(letters) % _ID_LENGTH
            _IDS.extend("".join(letters[i : i + _ID_LENGTH]) for i in range(0, whole, _ID_LENGTH))


_ID_LENGTH = 24
_IDS: list[str] = []
"""Drawn, and not given away yet."""
_LETTERS = dict(enumerate(ID_LETTERS * 4))
"""Of 256 bytes the first 248, so that each letter is equally likely."""
