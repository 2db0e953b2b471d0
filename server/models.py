"""Models: the catalogue, the aliases, and how a name asked for becomes the id sent.

The catalogue is only what we ship; an upstream's own list wins where it has one. Facts: Code Assist
catalogue of Gemini CLI 0.61 (``config/models.js``); Developer API ``models.list``.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from server.errors import NotFoundError

INPUT_LIMIT_TOKENS = 1_048_576
OUTPUT_LIMIT_TOKENS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model a client can ask for."""

    id: str
    display_name: str = ""
    description: str = ""
    input_limit_tokens: int = INPUT_LIMIT_TOKENS
    output_limit_tokens: int = OUTPUT_LIMIT_TOKENS
    created: int = 0
    """Release, Unix seconds; newer models are listed first."""
    embeds: bool = False
    """An embedding model: it takes no generate requests."""
    alias_of: str | None = None
    """The Gemini id behind an alias; None for a real model."""
    methods: tuple[str, ...] = ("generateContent", "countTokens")


_RELEASES = {
    "gemini-3.8-flash": 1_789_000_000,
    "gemini-3.5-flash": 1_780_000_000,
    "gemini-3.5-flash-lite": 1_780_000_000,
    "gemini-3.1-flash-lite": 1_772_000_000,
    "gemini-3.1-pro-preview": 1_771_000_000,
    "gemini-3-flash-preview": 1_766_000_000,
    "gemini-3-pro-preview": 1_763_500_000,
    "gemini-2.5-flash-lite": 1_753_200_000,
    "gemini-2.5-pro": 1_750_100_000,
    "gemini-2.5-flash": 1_750_100_000,
}


def describe(model_id: str, **known: object) -> Model:
    """A ``Model`` for an id, with the name and release date we can tell from it."""
    words = model_id.replace("-", " ").replace("gemini", "Gemini")
    name = " ".join(w if w[:1].isupper() else w.capitalize() for w in words.split())
    base = Model(id=model_id, display_name=name, created=_RELEASES.get(model_id, 1_740_000_000))
    return replace(base, **known)  # type: ignore[arg-type]


CATALOGUE: tuple[Model, ...] = tuple(describe(model_id) for model_id in _RELEASES)
"""What Code Assist serves; which of it an account may use is the account's matter."""

_PREFIXES = ("models/", "google/", "gemini/", "openai/", "anthropic/")
_GOOGLES_OWN = ("gemini-", "gemma-", "text-embedding-00")
_LEGAL_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LONGEST_NAME = 128
"""A longer name is none, and is not repeated whole."""
_FAST = ("*haiku*", "*mini*", "*nano*", "*flash*", "*lite*", "gpt-3.5*", "claude-instant*")
_BEST = ("*opus*", "gpt-4*", "gpt-5*", "gpt-6*", "o1*", "o2*", "o3*", "o4*", "*fable*", "*mythos*")
_MAIN = ("claude-*", "gpt-*", "sonnet", "default")

ADVERTISED_ALIASES = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-5",
    "gpt-5-mini",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-4-8",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-3-opus",
    "claude-3-sonnet",
    "claude-3-haiku",
    "claude-3.5-sonnet",
)
"""Names users expect to see in a list; every other name that matches a rule resolves too."""

TWIN_PREFIX = "claude-gp-"
"""Claude Code lists only ids containing "claude": each Gemini model has a twin it will show."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """The rules from a name asked for to a Gemini id (contract section 4, *Models*)."""

    table: Mapping[str, str] = field(default_factory=dict)
    """The user's own aliases; they win."""
    best: str = "gemini-2.5-pro"
    main: str = "gemini-2.5-pro"
    fast: str = "gemini-2.5-flash"
    unknown: str | None = None
    """The Gemini id for names that no rule knows (``UNKNOWN_MODEL``)."""

    def resolve(self, name: str, available: Sequence[Model]) -> Model:
        """The model to send a request for ``name`` to.

        Raises ``NotFoundError`` naming the nearest known ids.
        """
        target = self._target(name, available)
        if target is None:
            raise _unknown_model(name, available)
        for model in available:
            if model.id == target:
                return model
        return describe(target)

    def _target(self, name: str, available: Sequence[Model]) -> str | None:
        if name in self.table:
            return self.table[name]
        if len(name) > _LONGEST_NAME:
            return self.unknown
        bare = bare_name(name)
        if bare in self.table:
            return self.table[bare]
        if bare.startswith(_GOOGLES_OWN):
            return bare if _LEGAL_ID.fullmatch(bare) else self.unknown
        lowered = bare.lower()
        if _matches(lowered, _FAST):
            return self._tier(self.fast, "flash", available)
        if _matches(lowered, _BEST):
            return self._tier(self.best, "pro", available)
        if _matches(lowered, _MAIN):
            return self._tier(self.main, "pro", available)
        return self.unknown

    def _tier(self, wanted: str, kind: str, available: Sequence[Model]) -> str:
        """``wanted``, or the newest of its kind once the upstream's list no longer has it."""
        if not available or any(m.id == wanted for m in available):
            return wanted
        same_kind = [m for m in available if kind in m.id.split("-") and not m.embeds]
        newest = max(same_kind, key=lambda m: (m.created, version_of(m.id)), default=None)
        return newest.id if newest else wanted

    def listed(self, available: Sequence[Model]) -> list[Model]:
        """The upstream's models, newest first, then the aliases that lead to them."""
        real = sorted(available, key=lambda m: (-m.created, m.id))
        names = [*self.table, *ADVERTISED_ALIASES]
        names += [TWIN_PREFIX + m.id for m in real if not m.embeds]
        seen = {m.id for m in real}
        listed = list(real)
        for name in names:
            if name not in seen:
                seen.add(name)
                target = self.resolve(name, available)
                listed.append(_alias(name, target))
        return listed

    def find(self, name: str, available: Sequence[Model]) -> Model:
        """The list entry for ``name`` (an alias stays an alias). Raises ``NotFoundError``."""
        for model in self.listed(available):
            if model.id == name:
                return model
        target = self.resolve(name, available)
        if available and all(m.id != target.id for m in available):
            raise _unknown_model(name, available)
        return target if target.id == name else _alias(name, target)


def _alias(name: str, target: Model) -> Model:
    label = f"{target.display_name} (via proxy)"
    note = f"Answered by {target.id}"
    return replace(target, id=name, display_name=label, description=note, alias_of=target.id)


def bare_name(name: str) -> str:
    """``name`` without what clients add: vendor prefixes, ``[1m]``, dates, ``-latest``."""
    bare = name.strip()
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if bare.startswith(prefix):
                bare, stripped = bare[len(prefix) :], True
    bare = re.sub(r"\[\w+\]$", "", bare).removeprefix(TWIN_PREFIX)
    if bare.startswith("gpt-gemini-"):
        bare = bare.removeprefix("gpt-")
    if not bare.startswith("gemini-"):
        bare = re.sub(r"(-latest|[-@]20\d{6})$", "", bare)
    return bare


def version_of(model_id: str) -> tuple[int, int]:
    """``gemini-3.1-pro-preview`` -> (3, 1); (0, 0) when the id has no version."""
    found = re.search(r"-(\d+)(?:\.(\d+))?(?:-|$)", model_id)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _unknown_model(name: str, available: Sequence[Model]) -> NotFoundError:
    known = [m.id for m in available] or [m.id for m in CATALOGUE]
    name = name[:_LONGEST_NAME]
    near = difflib.get_close_matches(name, [*known, *ADVERTISED_ALIASES], n=3, cutoff=0.0)
    hint = f" Near it: {', '.join(near)}."
    return NotFoundError(
        f"The model '{name}' does not exist here.{hint} GET /v1/models lists all names.",
        param="model",
        code="model_not_found",
    )
