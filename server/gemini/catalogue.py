"""What is known of Google's models: ends, doors, limits, abilities, prices, and which one to take.

All of it is data (``models.toml`` beside this file, and a user's own laid over it); no model is
known by name in code. ``catalogue()`` is the one in use. Days are arguments: ``on`` is a day at
Google, which ``today`` gives.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from server.gemini.catalogue_file import read_table, spoken
from server.gemini.known import Door, Kind, Known, Table, Tier

_LONGEST_ID = 128
_REVISION_WORDS = frozenset({"preview", "exp", "latest", "default"})


class Catalogue:
    """Questions about models, answered from one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._spelt = {
            spelling: model for model in self.models() for spelling in model.spelling.values()
        }
        self._dearest = lru_cache(maxsize=4)(self._dearest_free)
        self._other = lru_cache(maxsize=256)(self._of_an_unlisted_id)

    @property
    def checked(self) -> date:
        """The day on which the file's facts were true."""
        return self.table.checked

    def model(self, model_id: str) -> Known:
        """What is known of an id, without ``models/``. Always answers: an id outside the table has
        the abilities of the newest kind, a revision of a listed one those of that one.
        """
        known = self.table.models.get(model_id)
        return self._other(model_id[:_LONGEST_ID]) if known is None else known

    def models(self) -> tuple[Known, ...]:
        """The whole table, dead models included."""
        return tuple(self.table.models.values())

    def living(self, door: Door, on: date) -> tuple[str, ...]:
        """The ids of chat models that ``door`` serves to a new credential; newest first."""
        found = [m for m in self.models() if m.kind == "chat" and m.living(door, on)]
        found.sort(key=lambda m: (m.released or date.min, m.id), reverse=True)
        return tuple(model.id for model in found)

    def answering(self, model_id: str, door: Door, on: date) -> Known:
        """The model whose rules and prices hold for ``model_id``: itself, or what Google answers
        with in its place.
        """
        known, seen = self.model(model_id), {model_id}
        while (to := known.route(door, on)) is not None and to not in seen:
            seen.add(to)
            known = self.model(to)
        return known

    def preference(self, tier: Tier, door: Door) -> tuple[str, ...]:
        """The ids of the table for a tier, best first; ``candidates`` leaves out what must not be
        taken.
        """
        return self.table.preferences.get(door, {}).get(tier, ())

    def candidates(
        self,
        tier: Tier,
        door: Door,
        on: date,
        listed: Iterable[str] | None = None,
        refused: Collection[str] = (),
    ) -> tuple[str, ...]:
        """What ``auto`` may take for a tier, the first choice first.

        ``listed``: the ids that the upstream lists; None: it cannot say. ``refused``: those that it
        refused to this credential. Never what does not chat or stands at another door only, a
        preview (Code Assist aside), what has ended or is answered by another model, nor anything
        dearer than the free list's dearest.
        """
        there = None if listed is None else frozenset(listed)
        return tuple(
            model_id
            for model_id in self.preference(tier, door)
            if (there is None or model_id in there)
            and model_id not in refused
            and self._may_be_taken(self.model(model_id), door, on)
        )

    def choose(
        self,
        tier: Tier,
        door: Door,
        on: date,
        listed: Iterable[str] | None = None,
        refused: Collection[str] = (),
    ) -> str | None:
        """The first of ``candidates``, or None."""
        return next(iter(self.candidates(tier, door, on, listed, refused)), None)

    def usual_spelling(self, model_id: str, door: Door) -> str:
        """The id that clients use for what a door calls ``model_id``."""
        known = self._spelt.get(model_id)
        return known.id if known and known.spelling.get(door) == model_id else model_id

    def quota_family(self, model_id: str) -> str | None:
        """The name under which a menu shows what is left of a model."""
        words = set(model_id.split("-"))
        return next((name for name, all_of in self.table.quota_families if all_of <= words), None)

    @property
    def quota_families(self) -> tuple[str, ...]:
        """Their names in the order of the menu: the file has them from the narrowest."""
        return tuple(name for name, _ in reversed(self.table.quota_families))

    def _may_be_taken(self, known: Known, door: Door, on: date) -> bool:
        if known.kind != "chat" or door not in known.doors:
            return False
        if known.ended(door, on) or known.route(door, on) is not None:
            return False
        if door == "code-assist":
            return True
        return not known.preview and (door == "free" or self._affordable(known, on))

    def _affordable(self, known: Known, on: date) -> bool:
        """Not dearer than the dearest that a free key would get; unknown is too dear."""
        price, (most_in, most_out) = known.price(on), self._dearest(on)
        return price is not None and price.input <= most_in and price.output <= most_out

    def _dearest_free(self, on: date) -> tuple[float, float]:
        """The highest prices of input and output on the free list."""
        ids = {m for tiers in self.table.preferences.get("free", {}).values() for m in tiers}
        prices = [price for model_id in ids if (price := self.model(model_id).price(on))]
        return (
            max((price.input for price in prices), default=0.0),
            max((price.output for price in prices), default=0.0),
        )

    def _of_an_unlisted_id(self, model_id: str) -> Known:
        name = spoken(model_id)
        if (base := self._revision_of(model_id)) is not None:
            return replace(base, id=model_id, name=name, listed=False)
        kind = self._kind(model_id)
        if kind == "chat":
            return replace(self.table.newest, id=model_id, name=name, listed=False)
        return Known(id=model_id, name=name, kind=kind, listed=False)

    def _revision_of(self, model_id: str) -> Known | None:
        """The listed model of which an id is a spelling or a dated, numbered or ``@`` revision."""
        base = model_id.partition("@")[0]
        if base in self._spelt:
            return self._spelt[base]
        while base:
            if base in self.table.models:
                return self.table.models[base]
            base, _, word = base.rpartition("-")
            if not (word.isdecimal() or word in _REVISION_WORDS):
                return None
        return None

    def _kind(self, model_id: str) -> Kind:
        words = model_id.lower().split("-")
        for kind, of_kind in self.table.words.items():
            if not of_kind.isdisjoint(words):
                return kind
        return "chat" if words[0] in self.table.families else "other"


def today(now: float | None = None) -> date:
    """The day at Google, where prices and models change at midnight Pacific time.

    ``now``: Unix seconds; the system's clock without it.
    """
    return _day_in(int((time.time() if now is None else now) // 3600))


@lru_cache(maxsize=8)
def _day_in(hour: int) -> date:
    """The day in an hour since 1970: the day there, and summer time, change with a whole one."""
    utc = datetime.fromtimestamp(hour * 3600, UTC)
    summer = _sunday(utc.year, 3, 8) <= utc - timedelta(hours=10) < _sunday(utc.year, 11, 1)
    return (utc - timedelta(hours=7 if summer else 8)).date()


def _sunday(year: int, month: int, day: int) -> datetime:
    """The first Sunday from a day on."""
    start = datetime(year, month, day, tzinfo=UTC)
    return start + timedelta(days=6 - start.weekday())


class _InUse:
    catalogue: Catalogue | None = None


def catalogue() -> Catalogue:
    """The catalogue in use: what ships, until ``use`` gives another."""
    if _InUse.catalogue is None:
        _InUse.catalogue = Catalogue(read_table())
    return _InUse.catalogue


def use(other: Catalogue | None) -> None:
    """Take another catalogue for the whole program; None: what ships."""
    _InUse.catalogue = other
