"""The one reader of ``models.toml``: what ships, with a user's own laid over it entry by entry.

Whatever cannot be used is a ``CatalogueError`` that names the file and the key; an unknown key is
one too, because a misspelt fact would silently be none.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from server.gemini.known import (
    DOORS,
    KINDS,
    LEVELS,
    TIERS,
    Budget,
    Door,
    Known,
    Price,
    Route,
    Table,
    Tier,
    Traits,
)

SHIPPED = Path(__file__).with_name("models.toml")
OVERLAY = "models.toml"
"""The user's own file, in the data folder."""

_BOTH_KEYS: tuple[Door, ...] = ("free", "paid")


class CatalogueError(Exception):
    """A file of models that cannot be used; the message names the file, the key and the reason."""


def read_table(overlay: Path | None = None) -> Table:
    """The table that ships, and over it ``overlay`` where that file exists.

    Raises ``CatalogueError``.
    """
    shipped = _parsed(SHIPPED)
    table = _table(shipped, SHIPPED)
    if overlay is None or not overlay.exists():
        return table
    return _table(_laid_over(shipped, _parsed(overlay)), overlay)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise CatalogueError(f"{path} cannot be read: {error}") from error


def _laid_over(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` wins key by key in tables; any other value, lists included, is replaced whole."""
    laid = dict(below)
    for key, value in above.items():
        under = laid.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        laid[key] = _laid_over(under, value) if both and isinstance(under, dict) else value
    return laid


class _At:
    """A value of the file and where it stands."""

    def __init__(self, value: object, path: Path, key: str = "") -> None:
        self.value, self.path, self.key = value, path, key

    def wrong(self, allowed: str) -> CatalogueError:
        return CatalogueError(
            f"{self.path}: {self.key}: {self.value!r} cannot be used; allowed: {allowed}."
        )

    def table(self, *known: str) -> "dict[str, _At]":
        """Its entries; those in ``known`` alone, when any is given."""
        if not isinstance(self.value, dict):
            raise self.wrong("a table")
        for name in self.value:
            if known and name not in known:
                raise CatalogueError(
                    f"{self.path}: {self._inside(name)} is unknown; known: {', '.join(known)}."
                )
        return {name: _At(v, self.path, self._inside(name)) for name, v in self.value.items()}

    def list(self) -> "list[_At]":
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return [_At(v, self.path, f"{self.key}[{i}]") for i, v in enumerate(self.value)]

    def _inside(self, name: str) -> str:
        plain = name.replace("-", "").replace("_", "").isalnum()
        return f"{self.key}.{name if plain else repr(name)}".lstrip(".")

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.wrong("a text")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true, false")
        return self.value

    def count(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.wrong("a whole number, 0 or more")
        return self.value

    def dollars(self) -> float:
        good = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not good or not 0 <= (amount := float(str(self.value))) < 1e6:
            raise self.wrong("US dollars, 0 or more")
        return amount

    def day(self) -> date:
        if not isinstance(self.value, date) or isinstance(self.value, datetime):
            raise self.wrong("a day such as 2026-12-31")
        return self.value

    def word(self, *allowed: str) -> Any:
        if self.value not in allowed:
            raise self.wrong(", ".join(allowed))
        return self.value

    def id_of(self, models: Mapping[str, object]) -> str:
        if self.text() not in models:
            raise self.wrong("the id of a model in the table")
        return self.text()

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.list())

    def some_texts(self) -> tuple[str, ...]:
        if not (texts := self.texts()):
            raise self.wrong("at least one text")
        return texts

    def levels(self) -> tuple[Any, ...]:
        found = tuple(item.word(*LEVELS[1:]) for item in self.list())
        if list(found) != sorted(set(found), key=LEVELS.index):
            raise self.wrong("levels from least to most, each once")
        return found

    def doors(self) -> tuple[Door, ...]:
        """``gemini-api`` stands for a free and a paid key."""
        named = [item.word("gemini-api", *DOORS) for item in self.list()]
        both = {*named, *(_BOTH_KEYS if "gemini-api" in named else ())}
        return tuple(door for door in DOORS if door in both)

    def by_door(self, read: "Callable[[_At], Any]") -> dict[Door, Any]:
        """A table by door; ``gemini-api`` stands for a free and a paid key."""
        found: dict[Door, Any] = {}
        for name, value in self.table("gemini-api", *DOORS).items():
            doors = _BOTH_KEYS if name == "gemini-api" else (name,)
            found |= {door: read(value) for door in DOORS if door in doors}
        return found


def _table(content: Mapping[str, Any], path: Path) -> Table:
    top = _At(content, path).table(
        "checked",
        "newest",
        "families",
        "embeddings",
        "preferences",
        "words",
        "service_tiers",
        "quota_families",
        "bases",
        "models",
        "reroutes",
    )
    bases = {name: base.table(*_TRAITS, *_SHARED) for name, base in top["bases"].table().items()}
    newest = top["newest"].word(*bases)
    rerouted = top["reroutes"].table()
    routes = {name: _route(at) for name, at in rerouted.items()}
    models = _models(top["models"], bases, newest, routes, _factors(top["service_tiers"]))
    for name, at in rerouted.items():
        if name not in models:
            raise at.wrong("re-routes of models in the table")
    return Table(
        checked=top["checked"].day(),
        newest=_known("", bases[newest]),
        families=top["families"].some_texts(),
        embeddings=top["embeddings"].some_texts(),
        models=models,
        words={kind: frozenset(at.texts()) for kind, at in top["words"].table(*KINDS).items()},  # type: ignore[misc]
        preferences=_preferences(top["preferences"], models),
        quota_families=tuple(_family(at) for at in top["quota_families"].list()),
    )


def _models(
    models: _At,
    bases: Mapping[str, dict[str, _At]],
    newest: str,
    routes: Mapping[str, Route],
    factors: Mapping[str, float],
) -> dict[str, Known]:
    found: dict[str, Known] = {}
    names: dict[str, tuple[_At, Known]] = {}
    for model_id, at in models.table().items():
        facts = at.table("base", "stands_for", *_TRAITS, *_FACTS)
        base = facts.pop("base", None)
        stands_for = facts.pop("stands_for", None)
        shared = bases[newest if base is None else base.word(*bases)]
        known = replace(
            _known(model_id, {**shared, **facts}),
            routes=(routes[model_id],) if model_id in routes else (),
            tier_factors=factors,
        )
        found[model_id] = known
        if stands_for is not None:
            names[model_id] = (stands_for, known)
    for model_id, (stands_for, known) in names.items():
        target = found[stands_for.id_of({name: None for name in found if name not in names})]
        found[model_id] = replace(
            target,
            id=model_id,
            name=known.name,
            doors=known.doors,
            released=known.released,
            stands_for=target.id,
            source=known.source,
        )
    return found


def _known(model_id: str, facts: Mapping[str, _At]) -> Known:
    abilities = {
        _TRAITS[key][0]: _TRAITS[key][1](at) for key, at in facts.items() if key in _TRAITS
    }
    if "output_tokens" in abilities:
        abilities.setdefault("unary_output_tokens", abilities["output_tokens"])
    fields = {_FACTS[key][0]: _FACTS[key][1](at) for key, at in facts.items() if key in _FACTS}
    fields.setdefault("name", spoken(model_id))
    return Known(id=model_id, traits=Traits(**abilities), **fields)


def spoken(model_id: str) -> str:
    """An id as a person reads it: ``Gemini 4 Neon``."""
    return " ".join(word[:1].upper() + word[1:] for word in model_id.split("-"))


def _budget(at: _At) -> Budget:
    given = at.table("least", "most", "off", "off_by_default")
    if not {"least", "most"} <= set(given):
        raise at.wrong("a table with least and most")
    return Budget(
        given["least"].count(),
        given["most"].count(),
        can_be_off="off" in given and given["off"].flag(),
        off_by_default="off_by_default" in given and given["off_by_default"].flag(),
    )


def _prices(at: _At) -> tuple[Price, ...]:
    prices = [_price(item, "from", "above") for item in at.list()]
    if any(price.since is None for price in prices[1:]) or prices != sorted(
        prices, key=lambda price: price.since or date.min
    ):
        raise at.wrong("prices from the oldest to the newest, all but the first with a day: from")
    return tuple(prices)


def _price(at: _At, *more: str) -> Price:
    given = at.table("input", "output", "cached", *more)
    if not {"input", "output"} <= set(given):
        raise at.wrong("a table with input and output")
    price = Price(
        since=given["from"].day() if "from" in given else None,
        input=given["input"].dollars(),
        output=given["output"].dollars(),
        cached=given["cached"].dollars() if "cached" in given else None,
    )
    if "above" not in given:
        return price
    above = given["above"].table("tokens", "input", "output", "cached")
    if "tokens" not in above:
        raise given["above"].wrong("a table with tokens, input and output")
    dearer = {name: value.value for name, value in above.items() if name != "tokens"}
    return replace(
        price,
        above_tokens=above["tokens"].count(),
        above=_price(_At(dearer, at.path, given["above"].key)),
    )


def _route(at: _At) -> Route:
    given = at.table("to", "since", "doors", "source")
    if not {"to", "since", "doors"} <= set(given):
        raise at.wrong("a table with to, since and doors")
    return Route(
        given["to"].text(),
        given["since"].day(),
        given["doors"].doors(),
        given["source"].text() if "source" in given else "",
    )


def _factors(at: _At) -> dict[str, float]:
    return {name: factor.dollars() for name, factor in at.table().items()}


def _family(at: _At) -> tuple[str, frozenset[str]]:
    given = at.table("name", "words")
    if set(given) != {"name", "words"}:
        raise at.wrong("a table with name and words")
    return given["name"].text(), frozenset(given["words"].texts())


def _preferences(at: _At, models: Mapping[str, Known]) -> dict[Door, dict[Tier, tuple[str, ...]]]:
    """Only ids of the table may be preferred: of others nothing is known to judge them by."""
    found: dict[Door, dict[Tier, tuple[str, ...]]] = {}
    tables = at.table(*DOORS)
    for door in DOORS:
        if door not in tables:
            raise at.wrong(f"tables for {', '.join(DOORS)}")
        tiers = tables[door].table(*TIERS)
        if len(tiers) < len(TIERS):
            raise tables[door].wrong(f"lists for {', '.join(TIERS)}")
        found[door] = {}
        for tier in TIERS:
            found[door][tier] = tuple(item.id_of(models) for item in tiers[tier].list())
    return found


_Read = Callable[[_At], Any]

_TRAITS: dict[str, tuple[str, _Read]] = {
    "levels": ("levels", _At.levels),
    "level": ("default_level", lambda at: at.word(*LEVELS[1:])),
    "budget": ("budget", _budget),
    "sampling": ("uses_sampling", _At.flag),
    "penalties": ("penalties", _At.flag),
    "signatures": ("signatures_required", _At.flag),
    "call_ids": ("uses_call_ids", _At.flag),
    "media_in_results": ("media_in_results", _At.flag),
    "json_with_tools": ("json_with_tools", _At.flag),
    "builtin_with_tools": ("builtin_with_tools", _At.flag),
    "prefill": ("prefill", _At.flag),
    "candidate_count": ("candidate_count", _At.doors),
    "continuation": ("continuation", _At.flag),
    "caching": ("caching", _At.flag),
    "cache_floor": ("cache_floor_tokens", _At.count),
    "one_window": ("one_window", _At.flag),
    "output": ("output_tokens", _At.count),
    "unary_output": ("unary_output_tokens", _At.count),
}
"""Key of the file -> field of ``Traits``, and how its value is read."""

_SHARED: dict[str, tuple[str, _Read]] = {
    "kind": ("kind", lambda at: at.word(*KINDS)),
    "context": ("context_tokens", _At.count),
    "grounding": ("grounding", _At.dollars),
    "locations": ("locations", _At.texts),
}
"""Fields of ``Known`` that a base may give as well."""

_OWN: dict[str, tuple[str, _Read]] = {
    "name": ("name", _At.text),
    "preview": ("preview", _At.flag),
    "free_unknown": ("free_unknown", _At.flag),
    "released": ("released", _At.day),
    "doors": ("doors", _At.doors),
    "ends": ("end_days", lambda at: at.by_door(_At.day)),
    "not_before": ("not_before", lambda at: at.by_door(_At.day)),
    "closed": ("closed", lambda at: at.by_door(_At.day)),
    "successor": ("successor", _At.text),
    "spelling": ("spelling", lambda at: at.by_door(_At.text)),
    "predict": ("predict", _At.count),
    "prices": ("prices", _prices),
    "source": ("source", lambda at: {name: text.text() for name, text in at.table().items()}),
}
"""Fields of ``Known`` that only a model has."""

_FACTS = {**_SHARED, **_OWN}
