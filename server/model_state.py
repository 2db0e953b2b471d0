"""What people are shown of models: which one stands behind each tier and why, which are refused to
the credential in use, and which end soon.

Read by the pages, the tray and the doctor; never waits, asks nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from server.doors import Doors
from server.gemini.catalogue import catalogue
from server.gemini.known import TIERS, Tier
from server.learned_models import Ending, Refused
from server.model_refusals import WORDS
from server.models import AUTO, Aliases, Model

NOTICE = timedelta(days=14)
"""An end is told this long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The model behind one tier."""

    tier: Tier
    model: str | None
    """None: none is left that may be chosen by itself."""
    why: str

    @property
    def sentence(self) -> str:
        return f"{self.tier}: {self.model or 'none'} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A model that ends soon, or has ended, and is in use here."""

    model: str
    on: date | None
    """None: Google says that it is on its way out, and no day."""
    said: str
    """Google's own words, where there are any."""
    instead: str | None

    @property
    def sentence(self) -> str:
        when = f"ends on {self.on.isoformat()}" if self.on else "is on its way out at Google"
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


def model_state(doors: Doors) -> ModelState:
    """The state for the upstream and credential in use."""
    upstream = doors.current()
    aliases = doors.aliases(upstream)
    available = upstream.listed() if upstream else ()
    credential = upstream.credential if upstream else ""
    marks = doors.learned.refused(credential)
    standing = tuple(_standing(tier, aliases, available, marks) for tier in TIERS)
    return ModelState(
        standing=standing,
        refused=tuple(sorted(marks.values(), key=lambda mark: -mark.since)),
        ending=_endings(aliases, available, standing, doors.learned.ending(credential)),
        plan=doors.learned.plan(credential),
    )


def _standing(
    tier: Tier, aliases: Aliases, available: Sequence[Model], marks: Mapping[str, Refused]
) -> Standing:
    chosen = {"best": aliases.best, "main": aliases.main, "fast": aliases.fast}[tier]
    if chosen != AUTO:
        return Standing(tier=tier, model=chosen, why=f"chosen by MODEL_{tier.upper()}")
    candidates = aliases.candidates(tier, available)
    model = candidates[0] if candidates else None
    listed = {one.id for one in available}
    passed_over = []
    for better in catalogue().preference(tier, aliases.door):
        if better == model:
            break
        passed_over.append(f"{better}: {_why_not(better, listed, marks)}")
    why = "the first choice here" if not passed_over else f"not {'; not '.join(passed_over)}"
    return Standing(tier=tier, model=model, why=why)


def _why_not(model: str, listed: set[str], marks: Mapping[str, Refused]) -> str:
    mark = marks.get(model)
    if mark is not None:
        return WORDS[mark.why]
    return "not in Google's list" if listed and model not in listed else "it has ended"


def _endings(
    aliases: Aliases,
    available: Sequence[Model],
    standing: Sequence[Standing],
    heard: Mapping[str, Ending],
) -> tuple[End, ...]:
    """Ends of what is in use: the tiers, the user's own aliases, and what was asked lately."""
    used = [one.model for one in standing if one.model] + list(aliases.table.values())
    ends = []
    for model in dict.fromkeys([*heard, *used]):
        told = heard.get(model)
        on = _day(told.retirement if told else "") or catalogue().model(model).ends(aliases.door)
        leaving = told is not None and told.stage in ("DEPRECATED", "RETIRED")
        if (on is not None and on - aliases.on <= NOTICE) or (on is None and leaving):
            words = told.message if told else ""
            instead = aliases.successor(model, available)
            ends.append(End(model=model, on=on, said=words, instead=instead))
    return tuple(sorted(ends, key=lambda end: (end.on or date.max, end.model)))


def _day(time: str) -> date | None:
    try:
        return datetime.fromisoformat(time).date() if time else None
    except ValueError:
        return None
