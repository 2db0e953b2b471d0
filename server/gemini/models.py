"""Models: how a name asked for becomes the ids to send, and what a list shows.

What is known of models is data (``server.gemini.catalogue``); an upstream's own list says which of
them are there.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path

from server.errors import NotFoundError
from server.gemini.catalogue import Catalogue, catalogue, today, use
from server.gemini.catalogue_file import OVERLAY, CatalogueError, read_table
from server.gemini.known import Door, Kind, Tier
from server.gemini.model_names import (
    LONGEST_NAME,
    STABLE_NAMES,
    TWIN_PREFIX,
    gemini_id,
    spelt,
    tier_of,
    without_end,
    without_path,
    words_of,
)
from server.settings.load import SettingsError


class OwnModelsError(SettingsError):
    """The user's own table of models cannot be used; ends the start as a wrong setting does."""

    def __init__(self, error: CatalogueError) -> None:
        Exception.__init__(self, str(error))
        self.sentence, self.name, self.source = str(error), OVERLAY, "settings.toml"


def use_own_models(data_dir: Path) -> None:
    """Lay the ``models.toml`` of the data folder, if there is one, over what ships.

    Raises ``OwnModelsError``, a ``SettingsError``, that names the file and the key.
    """
    try:
        use(Catalogue(read_table(data_dir / OVERLAY)))
    except CatalogueError as error:
        raise OwnModelsError(error) from error


_LONG_AGO = date(2025, 1, 1)
"""The release of a model of the table that gives none; a model outside the table counts as new."""
_FOR: Mapping[Door, str] = {
    "free": "for free keys",
    "paid": "for paid keys",
    "vertex": "on Vertex AI",
    "code-assist": "on Code Assist",
}

ON_DEMO = "on the demo"

_TIERS: tuple[Tier, ...] = ("main", "best", "fast")
AUTO = "auto"
"""A tier whose model the catalogue chooses."""

_METHODS: Mapping[Kind, tuple[str, ...]] = {
    "embedding": ("embedContent",),
    "live": (),
    "interactions": (),
}
_GENERATES = ("generateContent", "countTokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model a client can ask for."""

    id: str
    display_name: str = ""
    description: str = ""
    kind: Kind = "chat"
    input_limit_tokens: int = 1_048_576
    output_limit_tokens: int = 65_536
    created: int = 0
    """Release, Unix seconds; newer models are listed first."""
    alias_of: str | None = None
    """The Gemini id behind an alias; None for a real model."""
    methods: tuple[str, ...] = _GENERATES

    @property
    def embeds(self) -> bool:
        """An embedding model: it takes no generate requests."""
        return self.kind == "embedding"

    @property
    def chats(self) -> bool:
        """It answers a conversation with text."""
        return self.kind == "chat"


def describe(model_id: str, **listed: object) -> Model:
    """A ``Model`` for an id. ``listed``: what the upstream says of it; what the table knows of its
    limits and kind counts more.
    """
    model, table = _described(catalogue(), model_id[:LONGEST_NAME])
    if not listed:
        return model
    found = replace(model, **{**listed, **table})  # type: ignore[arg-type]
    return found if model.methods else replace(found, methods=())


@lru_cache(maxsize=512)
def _described(known_models: Catalogue, model_id: str) -> tuple[Model, Mapping[str, object]]:
    """A model, and those of its fields that the table knows best."""
    known = known_models.model(model_id)
    table = {
        "kind": known.kind,
        "input_limit_tokens": known.context_tokens,
        "output_limit_tokens": known.traits.output_tokens,
    }
    day = known.released or (_LONG_AGO if known.listed else known_models.checked)
    model = Model(
        id=model_id,
        display_name=known.name,
        created=int(datetime.combine(day, time(), UTC).timestamp()),
        methods=_METHODS.get(known.kind, _GENERATES),
        **table,  # type: ignore[arg-type]
    )
    return model, table if known.listed else {}


def living_models(door: Door, on: date | None = None) -> tuple[Model, ...]:
    """What the catalogue knows to be served at a door, newest first: for want of a better list."""
    return _living(catalogue(), door, on or today())


@lru_cache(maxsize=8)
def _living(known: Catalogue, door: Door, day: date) -> tuple[Model, ...]:
    found = [describe(model.id) for model in known.models() if model.living(door, day)]
    return tuple(sorted(found, key=_newest_first))


def _newest_first(model: Model) -> tuple[bool, int, str]:
    """Those that chat before all others: many a client takes the first of a list."""
    return not model.chats, -model.created, model.id


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


@dataclass(frozen=True, slots=True)
class Meant:
    """What a name asked for stands for."""

    models: tuple[Model, ...]
    """The models to try, the first choice first; never empty."""
    tier: Tier | None = None
    """The ``auto`` tier it was asked for through, in which a refused model gives way to the next;
    None: exactly this model is wanted."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """The rules from a name asked for to Gemini ids (contract section 4, *Models*)."""

    table: Mapping[str, str] = field(default_factory=dict)
    """The user's own aliases; they win."""
    best: str = AUTO
    main: str = AUTO
    fast: str = AUTO
    unknown: str | None = None
    """The Gemini id for names that no rule knows (``UNKNOWN_MODEL``)."""
    door: Door = "free"
    """Whose preference list ``auto`` takes."""
    refused: Collection[str] = frozenset()
    """Ids that the upstream has refused to this credential: no tier leads there, no list has them.
    """
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why each of them is."""
    on: date = field(default_factory=today)
    demo: bool = False
    """The built-in demo answers: no key is in play."""

    def resolve(self, name: str, available: Sequence[Model]) -> Model:
        """The model to send a request for ``name`` to first.

        Raises ``NotFoundError`` naming the nearest known names.
        """
        return self.meant(name, available).models[0]

    def meant(self, name: str, available: Sequence[Model]) -> Meant:
        """What ``name`` stands for at an upstream that lists ``available``.

        Raises ``NotFoundError``.
        """
        target, tier = self._target(name, available)
        if target is not None:
            return Meant((_entry(target, available),))
        if tier is None:
            raise self._unknown_model(name, available)
        ids = self.candidates(tier, available)
        if not ids:
            raise _empty_tier(name, tier)
        return Meant(tuple(_entry(model_id, available) for model_id in ids), tier)

    def candidates(self, tier: Tier, available: Sequence[Model]) -> tuple[str, ...]:
        """What ``auto`` may take for a tier here, the first choice first."""
        listed = [model.id for model in available] or None
        return catalogue().candidates(tier, self.door, self.on, listed, self.refused)

    def chosen(self, tier: Tier) -> str:
        """What the settings say of a tier: an id, or ``auto``."""
        return {"best": self.best, "main": self.main, "fast": self.fast}[tier]

    def why(self, tier: Tier, available: Sequence[Model]) -> str:
        """In words, why a tier leads where it does: by a setting, or which choice of ``auto`` it
        is, and what was passed over before it."""
        if (model := self.chosen(tier)) != AUTO:
            setting = f"chosen by MODEL_{tier.upper()}"
            return f"{setting}; {self.reasons[model]}" if model in self.reasons else setting
        wanted = catalogue().preference(tier, self.door)
        first = next(iter(self.candidates(tier, available)), None)
        passed = wanted if first is None else wanted[: wanted.index(first)]
        listed = {model.id for model in available}
        reasons = [f"{model_id}: {self._passed_over(model_id, listed)}" for model_id in passed]
        choice = (
            "no choice is left" if first is None else "next choice" if passed else "first choice"
        )
        where = ON_DEMO if self.demo else _FOR[self.door]
        return "; ".join([f"{choice} {where}", *reasons])

    def _passed_over(self, model_id: str, listed: Collection[str]) -> str:
        known = catalogue().model(model_id)
        if model_id in self.refused:
            return self.reasons.get(model_id, "refused to this credential")
        if listed and model_id not in listed:
            return "the upstream does not list it"
        if known.ended(self.door, self.on):
            return f"ended on {known.ends(self.door)}"
        if by := known.route(self.door, self.on):
            return f"{by} answers in its place"
        return "a preview" if known.preview else "dearer than every model of the free list"

    def _target(self, name: str, available: Sequence[Model]) -> tuple[str | None, Tier | None]:
        """An exact id, or an ``auto`` tier; neither when no rule knows the name."""
        if name in self.table:
            return self._stands_for(self.table[name])
        if len(name) > LONGEST_NAME:
            return self._stands_for(self.unknown)
        families = catalogue().table.families
        whole = without_end(name, families)
        bare = without_path(whole)
        for shorter in (whole, bare):
            if shorter in self.table:
                return self._stands_for(self.table[shorter])
        if found := self._of_googles(bare, available):
            return found
        tier = None if "gemini" in words_of(name) else tier_of(bare)
        return self._stands_for(self.unknown) if tier is None else self._tier(tier)

    def _stands_for(self, target: str | None) -> tuple[str | None, Tier | None]:
        """A target that the user wrote: a stable name, or else exactly this id."""
        if target is None:
            return None, None
        bare = without_path(target)
        if tier := STABLE_NAMES.get(spelt(bare)):
            return self._tier(tier)
        return gemini_id(bare, catalogue().table.families) or bare, None

    def _of_googles(
        self, bare: str, available: Sequence[Model]
    ) -> tuple[str | None, Tier | None] | None:
        """A stable name or an id of Google's; None for any other name."""
        if tier := STABLE_NAMES.get(spelt(bare)):
            return self._tier(tier)
        if model_id := gemini_id(bare, catalogue().table.families):
            return model_id, None
        others = (model.id for model in available)
        is_id = bare in catalogue().table.models or bare in others
        return (bare, None) if is_id else None

    def _tier(self, tier: Tier) -> tuple[str | None, Tier | None]:
        chosen = self.chosen(tier)
        if chosen == AUTO:
            return None, tier
        return gemini_id(chosen, catalogue().table.families) or chosen, None

    def listed(self, available: Sequence[Model]) -> list[Model]:
        """The tiers' own names, the upstream's models, newest first, then the aliases for them.

        A name that leads nowhere here is left out; it never costs the list.
        """
        gone = {*self.refused, *self.table}  # an alias with a model's own name stands in its place
        real = [model for model in available if model.id not in gone]
        real.sort(key=_newest_first)
        ids = {model.id for model in real}
        first = [*STABLE_NAMES, *(TWIN_PREFIX + name for name in STABLE_NAMES)]
        others = [*self.table, *ADVERTISED_ALIASES]
        others += [TWIN_PREFIX + model.id for model in real if model.chats]
        seen = set(ids)
        named = list(self._entries(first, available, seen))
        return [*named, *real, *self._entries(others, available, seen)]

    def _entries(
        self, names: Iterable[str], available: Sequence[Model], seen: set[str]
    ) -> Iterable[Model]:
        for name in names:
            target = None if name in seen else self._first(name, available)
            if target is not None and target.id not in self.refused:
                seen.add(name)
                yield _alias(name, target, self._note(name, target, available))

    def _note(self, name: str, target: Model, available: Sequence[Model]) -> str:
        note = f"Answered by {target.id}" + (f" {ON_DEMO}" if self.demo else "")
        tier = STABLE_NAMES.get(name.removeprefix(TWIN_PREFIX))
        if tier is None or (self.demo and self.chosen(tier) == AUTO):
            return note
        return f"{note} ({self.why(tier, available)})"

    def _first(self, name: str, available: Sequence[Model]) -> Model | None:
        try:
            return self.resolve(name, available)
        except NotFoundError:
            return None

    def find(self, name: str, available: Sequence[Model]) -> Model:
        """The list entry for ``name`` (an alias stays an alias). Raises ``NotFoundError``, also for
        what is refused."""
        for model in self.listed(available):
            if model.id == name:
                return model
        target = self.resolve(name, available)
        if target.id in self.refused:
            raise self._refused_model(target.id, available)
        if available and all(m.id != target.id for m in available):
            raise self._unknown_model(name, available)
        return (
            target
            if target.id == name
            else _alias(name, target, self._note(name, target, available))
        )

    def successor(self, model_id: str, available: Sequence[Model]) -> str | None:
        """What to use in the place of a model that is refused: what Google names, if that can be
        used, else what the tier that the name reminds of takes."""
        known, seen = catalogue(), {model_id}
        found = known.model(model_id).successor
        while found is not None and found not in seen:
            if found not in self.refused and known.model(found).living(self.door, self.on):
                return found
            seen.add(found)
            found = known.model(found).successor
        if known.model(model_id).kind != "chat":
            return None
        others = self.candidates(self._tier_like(model_id), available)
        return next((other for other in others if other != model_id), None)

    def _tier_like(self, model_id: str) -> Tier:
        """The tier on whose list an id stands nearest to the top; by its words, where it is on
        none."""
        lists = {tier: catalogue().preference(tier, self.door) for tier in _TIERS}
        places = {tier: ids.index(model_id) for tier, ids in lists.items() if model_id in ids}
        if places:
            return min(places, key=places.__getitem__)
        return "fast" if tier_of(model_id) == "fast" else "main"

    def _refused_model(self, model_id: str, available: Sequence[Model]) -> NotFoundError:
        why = self.reasons.get(model_id, "Google refuses it to this credential")
        instead = self.successor(model_id, available)
        advice = f"Use {instead} instead." if instead else "GET /v1/models lists what there is."
        return NotFoundError(
            f"The model '{model_id}' cannot be used: {why}. {advice}",
            param="model",
            code="model_not_found",
        )

    def _unknown_model(self, name: str, available: Sequence[Model]) -> NotFoundError:
        there = available or living_models(self.door, self.on)
        known = [model.id for model in there if model.chats or model.embeds]
        names = [*known, *STABLE_NAMES, *ADVERTISED_ALIASES]
        near = difflib.get_close_matches(
            spelt(without_path(name[:128])),
            [known_name for known_name in names if known_name not in self.refused],
            n=3,
            cutoff=0.0,
        )
        return NotFoundError(
            f"The model '{name[:128]}' does not exist here. Near it: {', '.join(near)}. "
            "GET /v1/models lists all names.",
            param="model",
            code="model_not_found",
        )


def _entry(model_id: str, available: Sequence[Model]) -> Model:
    return next((m for m in available if m.id == model_id), None) or describe(model_id)


def _alias(name: str, target: Model, note: str) -> Model:
    label = f"{target.display_name} (via proxy)"
    return replace(target, id=name, display_name=label, description=note, alias_of=target.id)


def _empty_tier(name: str, tier: Tier) -> NotFoundError:
    return NotFoundError(
        f"The model '{name[:128]}' means the {tier} model, and none that may be chosen by itself "
        f"is left for this credential. Set MODEL_{tier.upper()} to a model that GET /v1/models "
        "lists.",
        param="model",
        code="model_not_found",
    )


def bare_name(name: str) -> str:
    """``name`` without what clients and gateways add, a Gemini id as Google writes it."""
    if len(name) > LONGEST_NAME:
        return name
    families = catalogue().table.families
    bare = without_path(without_end(name, families))
    return gemini_id(bare, families) or bare
