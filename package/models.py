"""Whether the data file of models holds on a day: ``make models``, ``python -m package.models``.

Prints what ends, changes its price or is answered by another model within 90 days, what each tier
takes, and every fault; 1 when there is one. ``make test`` asks the same for the day on which the
file was checked, so that no calendar turns it red.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from server.gemini.catalogue import Catalogue, today
from server.gemini.catalogue_file import CatalogueError, read_table
from server.gemini.known import DOORS, TIERS, Door, Known, Tier

SOON = timedelta(days=90)
STALE = timedelta(days=45)

_DOOR_NAMES: dict[Door, str] = {
    "free": "free keys of the Gemini API",
    "paid": "paid keys of the Gemini API",
    "vertex": "Vertex AI",
    "code-assist": "Code Assist",
}


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the file holds on the day."""
    parser = argparse.ArgumentParser(prog="python -m package.models", description=__doc__)
    parser.add_argument("--on", type=date.fromisoformat, help="a day (YYYY-MM-DD) instead of today")
    parser.add_argument(
        "--with", dest="own", type=Path, help="a models.toml laid over the program's"
    )
    options = parser.parse_args(argv)
    try:
        known = Catalogue(read_table(options.own))
    except CatalogueError as error:
        print(error, file=sys.stderr)
        return 1
    return tell(known, options.on or today())


def tell(known: Catalogue, on: date) -> int:
    """Print the report of a day."""
    print(f"{len(known.models())} models, checked on {known.checked}, judged for {on}.")
    if on - known.checked > STALE:
        print(f"Its facts are {(on - known.checked).days} days old: read Google's pages again.")
    for line in (*choices(known, on), *news(known, on)):
        print(line)
    wrong = faults(known, on)
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


def choices(known: Catalogue, on: date) -> Iterator[str]:
    """What each tier takes, by door."""
    for door in DOORS:
        taken = (f"{tier} {known.choose(tier, door, on) or 'nothing'}" for tier in TIERS)
        yield f"{_DOOR_NAMES[door]}: {', '.join(taken)}"


def news(known: Catalogue, on: date) -> list[str]:
    """What happens from a day on until ``SOON``, in the order of days."""
    found = {
        (day, f"{day} {model.id} {what}")
        for model in known.models()
        for day, what in _coming(model)
        if on <= day <= on + SOON
    }
    return [line for _, line in sorted(found)]


def _coming(model: Known) -> Iterator[tuple[date, str]]:
    if model.stands_for is not None:
        return  # told of the model it leads to
    instead = f"; then {model.successor}" if model.successor else ""
    for days, what in (
        (model.end_days, "ends at"),
        (model.closed, "is closed to new users of"),
        (model.not_before, "may end from here on at"),
    ):
        for day in sorted(set(days.values())):
            yield day, f"{what} {_joined(door for door in days if days[door] == day)}{instead}"
    for route in model.routes:
        yield route.since, f"is answered by {route.to}"
    for price in model.prices:
        if price.since is not None:
            yield price.since, f"costs {price.input:g} in, {price.output:g} out"


def _joined(doors: Iterable[Door]) -> str:
    """The doors in words; both kinds of key are one."""
    words = ", ".join(_DOOR_NAMES[door] for door in doors)
    both = f"{_DOOR_NAMES['free']}, {_DOOR_NAMES['paid']}"
    return words.replace(both, "the Gemini API")


def faults(known: Catalogue, on: date) -> list[str]:
    """What is wrong with the file on a day; nothing is the aim."""
    found = [*_of_lists(known, on)]
    for model in known.models():
        found += [f"{model.id}: {text}" for text in _of_model(known, model)]
    if known.checked > on:
        found.append(f"checked: {known.checked} has not come yet")
    return found


def _of_lists(known: Catalogue, on: date) -> Iterator[str]:
    for door in DOORS:
        for tier in TIERS:
            if not known.candidates(tier, door, on):
                yield f"preferences.{door}.{tier}: no model of it lives"
            for model_id in known.preference(tier, door):
                yield from _of_preferred(known, model_id, tier, door, on)
    if not [i for i in known.table.embeddings if known.model(i).kind == "embedding"]:
        yield "embeddings: none of them is one"


def _of_preferred(
    known: Catalogue, model_id: str, tier: Tier, door: Door, on: date
) -> Iterator[str]:
    model, where = known.model(model_id), f"preferences.{door}.{tier}: {model_id}"
    if door not in model.doors:
        yield f"{where} is not served there"
    if model.kind != "chat":
        yield f"{where} does not chat"
    if model.preview and door != "code-assist":
        yield f"{where} is a preview"
    if not model.prices and door != "code-assist":
        yield f"{where} has no price"
    alive = not model.ended(door, on) and model.route(door, on) is None
    if alive and not known.candidates(tier, door, on, [model_id]):
        yield f"{where} is dearer than the dearest of the free list"


def _of_model(known: Catalogue, model: Known) -> Iterator[str]:
    listed = known.table.models
    dated = (model.end_days, model.closed, model.not_before)
    days = [day for by_door in dated for day in by_door.values()]
    if model.released and (
        model.released > known.checked or any(d <= model.released for d in days)
    ):
        yield f"released on {model.released}, which is after another of its days"
    for door, closed in model.closed.items():
        if closed > model.end_days.get(door, closed):
            yield f"closed on {closed}, after its end"
    if model.successor is not None and model.successor not in listed:
        yield f"its successor {model.successor} is not in the file"
    if model.kind == "chat" and model.end_days and model.successor is None:
        yield "it ends, and no successor is named"
    if model.traits.default_level and model.traits.default_level not in model.traits.levels:
        yield f"its default level {model.traits.default_level} is none of its levels"
    if model.traits.levels and model.traits.budget:
        yield "it has levels and a budget"
    yield from _of_routes(known, model)
    for fact in _facts(model):
        if fact not in model.source:
            yield f"no source is given for {fact}"


def _of_routes(known: Catalogue, model: Known) -> Iterator[str]:
    for route in model.routes:
        target = known.table.models.get(route.to)
        if target is None:
            yield f"it is answered by {route.to}, which is not in the file"
            continue
        if not route.source:
            yield "no source is given for its re-route"
        for door in route.doors:
            if door not in known.answering(model.id, door, route.since).doors:
                yield f"it is answered by {route.to}, which {_DOOR_NAMES[door]} are not served"


def _facts(model: Known) -> Iterator[str]:
    facts: dict[str, object] = {
        "released": model.released,
        "ends": model.end_days,
        "closed": model.closed,
        "prices": model.prices,
        "predict": model.predict,
        "spelling": model.spelling,
    }
    if model.stands_for is not None:
        facts = {"stands_for": model.stands_for}
    return (name for name, value in facts.items() if value)


if __name__ == "__main__":
    sys.exit(main())
