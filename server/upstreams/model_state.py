"""What people are shown of models: which one stands behind each tier and why, which are refused to
the credential in use, and which end soon.

Read by the pages, the tray and the doctor; never waits, asks nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from server.gemini.catalogue import catalogue
from server.gemini.known import Tier
from server.gemini.model_names import STABLE_NAMES
from server.gemini.models import AUTO, Aliases, Model
from server.upstreams.choice import Doors
from server.upstreams.learned_models import Ending, Refused

NOTICE = timedelta(days=14)
"""An end is told this long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The model behind one tier."""

    name: str
    """The name that stays: ``gemini-best``."""
    tier: Tier
    model: str | None
    """None: none is left that may be chosen by itself."""
    why: str

    @property
    def sentence(self) -> str:
        return f"{self.name}: {self.model or 'none'} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A model that ends soon, or has ended, and is in use here."""

    model: str
    on: date | None
    """The first day without it; None: Google says that it is on its way out, and no day."""
    days_left: int
    """0 or less: it has ended."""
    said: str
    """Google's own words, where there are any."""
    instead: str | None

    @property
    def sentence(self) -> str:
        if self.on is None:
            when = "is on its way out at Google"
        else:
            left = "tomorrow" if self.days_left == 1 else f"in {self.days_left} days"
            day = f"{self.on.day} {self.on:%B %Y}"
            when = f"ends on {day}, {left}" if self.days_left > 0 else f"has ended on {day}"
        advice = f" Use {self.instead} instead." if self.instead else ""
        said = f" Google says: {self.said.rstrip('.')}." if self.said else ""
        return f"{self.model} {when}.{said}{advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """All of it at one moment."""

    standing: tuple[Standing, ...] = ()
    refused: tuple[Refused, ...] = ()
    """Newest first."""
    ending: tuple[End, ...] = ()
    plan: str = ""
    """``free`` or ``paid`` where the key is known to be that."""


def model_state(doors: Doors, used: Iterable[str] = ()) -> ModelState:
    """The state for the upstream and credential in use.

    ``used``: ids that were asked for lately, whose ends count too.
    """
    upstream = doors.current()
    aliases = doors.aliases(upstream)
    available = upstream.listed() if upstream else ()
    credential = upstream.credential if upstream else ""
    marks = doors.learned.refused(credential)
    standing = tuple(_standing(name, aliases, available) for name in STABLE_NAMES)
    named = [one.model for one in standing if one.model] + list(aliases.table.values())
    return ModelState(
        standing=standing,
        refused=tuple(sorted(marks.values(), key=lambda mark: -mark.since)),
        ending=_endings(aliases, available, [*named, *used], doors.learned.ending(credential)),
        plan=doors.learned.plan(credential),
    )


def _standing(name: str, aliases: Aliases, available: Sequence[Model]) -> Standing:
    tier = STABLE_NAMES[name]
    why, chosen = aliases.why(tier, available), aliases.chosen(tier)
    candidates = aliases.candidates(tier, available) if chosen == AUTO else (chosen,)
    return Standing(name=name, tier=tier, model=next(iter(candidates), None), why=why)


def _endings(
    aliases: Aliases,
    available: Sequence[Model],
    used: Sequence[str],
    heard: Mapping[str, Ending],
) -> tuple[End, ...]:
    """Ends of what is in use: the tiers, the user's own aliases, and what was asked lately."""
    ends = []
    for model in dict.fromkeys([*heard, *used]):
        told = heard.get(model)
        on = _day(told.retirement if told else "") or catalogue().model(model).ends(aliases.door)
        leaving = told is not None and told.stage in ("DEPRECATED", "RETIRED")
        if (on is not None and on - aliases.on <= NOTICE) or (on is None and leaving):
            words = told.message if told else ""
            instead = aliases.successor(model, available)
            left = 0 if on is None else (on - aliases.on).days
            ends.append(End(model=model, on=on, days_left=left, said=words, instead=instead))
    return tuple(sorted(ends, key=lambda end: (end.on or date.max, end.model)))


def _day(time: str) -> date | None:
    try:
        return datetime.fromisoformat(time).date() if time else None
    except ValueError:
        return None
