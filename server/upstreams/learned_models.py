"""What Google's answers tell of models, remembered for the credential that asked.

Which ids it refuses, whether a key is free or paid, which model answers in the place of another,
and when one ends. None of it can be asked in advance (google-2026-11 dossier section 2), so it is
kept in the data folder under a hash of the credential: a refusal costs one request and no more.
"""

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from server.files import write_private
from server.gemini.catalogue import catalogue
from server.gemini.served import ModelStatus
from server.redaction import blank_shapes
from server.upstreams.model_refusals import WORDS, Why

log = logging.getLogger(__name__)

FILE = "learned_models.json"
KEPT_S = 12 * 3600.0
MOST_CREDENTIALS = 32
MOST_MODELS = 64
"""Of one kind and credential; the oldest are forgotten first."""
_LONGEST = 512
"""Of one text in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Google refuses a model to the credential."""

    model: str
    since: float
    """Unix seconds."""
    why: Why

    @property
    def sentence(self) -> str:
        return f"{self.model}: {WORDS[self.why]}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Another model answers in the place of this one."""

    model: str
    since: float
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What Google said of a model's stage in life (``modelStatus``)."""

    model: str
    since: float
    stage: str = ""
    """``STABLE``, ``LEGACY``, ``DEPRECATED``, ``RETIRED``, ..."""
    retirement: str = ""
    """ISO time; empty: none was said."""
    message: str = ""


@dataclass(slots=True)
class Learned:
    """All that is known for one credential, by model id."""

    refused: dict[str, Refused] = field(default_factory=dict)
    answering: dict[str, Answering] = field(default_factory=dict)
    ending: dict[str, Ending] = field(default_factory=dict)
    plan: Literal["free", "paid", ""] = ""
    """Of a key, once an answer or a refusal told it; it has no end."""


_KINDS: Mapping[str, type[Refused] | type[Answering] | type[Ending]] = {
    "refused": Refused,
    "answering": Answering,
    "ending": Ending,
}
_Mark = TypeVar("_Mark", Refused, Answering, Ending)


@lru_cache(maxsize=32)  # every request asks, for the same few
def fingerprint(*parts: str | None) -> str:
    """The name under which a credential is known here: a hash of all that makes it."""
    return hashlib.sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:32]


class LearnedModels:
    """Everything learnt, by credential. Look-ups never wait; learning writes the file."""

    def __init__(self, data_dir: Path, *, now: Callable[[], float] = time.time) -> None:
        self._path = data_dir / FILE
        self._now = now
        self._writing = threading.Lock()
        self._known = self._read()

    def refused(self, credential: str) -> Mapping[str, Refused]:
        """The ids refused to this credential now."""
        known = self._known.get(credential)
        return self._living(known.refused) if known else {}

    def mark(self, credential: str, model: str) -> Refused | None:
        """The refusal of one model that counts now."""
        known = self._known.get(credential)
        found = known.refused.get(model) if known else None
        return found if found and self._counts(found) else None

    def ending(self, credential: str) -> Mapping[str, Ending]:
        """What Google said of the end of models, as far as it said anything."""
        known = self._known.get(credential)
        return self._living(known.ending) if known else {}

    def answering(self, credential: str, model: str) -> str | None:
        """The model that was last seen to answer for ``model``, where that was another one."""
        known = self._known.get(credential)
        found = known.answering.get(model) if known else None
        return found.by if found and self._counts(found) else None

    def plan(self, credential: str) -> str:
        """``free`` or ``paid`` where a key is known to be that, else empty."""
        known = self._known.get(credential)
        return known.plan if known else ""

    async def refuse(self, credential: str, model: str, why: Why) -> bool:
        """Mark ``model``; whether that is news. A quota of 0 for a paid model shows a free key."""
        if not credential or len(model) > _LONGEST or blank_shapes(model) != model:
            return False  # a key typed where a model's name belongs is not kept
        news = model not in self.refused(credential)
        known = self._of(credential)
        known.refused[model] = Refused(model=model, since=self._now(), why=why)
        if why == "plan" and is_paid_only(model):
            known.plan = "free"
        if news:
            log.warning("%s is left out from now on: %s", model, WORDS[why])
        await asyncio.to_thread(self._save)
        return news

    async def answered(
        self, credential: str, model: str, by: str = "", status: ModelStatus | None = None
    ) -> None:
        """``model`` answered, ``by`` another or itself: no refusal of it is true any more, and an
        answer of a paid one shows a paid key. Costs next to nothing where nothing is new."""
        if not credential:
            return
        known = self._known.get(credential) or Learned()
        paid = known.plan != "paid" and not by and is_paid_only(model)
        refused = model in known.refused
        routed = by != (self.answering(credential, model) or "")
        said = status is not None and not self._is_known(known.ending.get(model), status)
        if not (paid or refused or routed or said):
            return
        known = self._of(credential)
        known.refused.pop(model, None)
        known.answering.pop(model, None)
        if by:
            known.answering[model] = Answering(model=model, since=self._now(), by=by[:_LONGEST])
        if status is not None:
            known.ending[model] = Ending(model=model, since=self._now(), **asdict(status))
        if paid:
            known.plan = "paid"
            known.refused = {m: one for m, one in known.refused.items() if one.why != "plan"}
        await asyncio.to_thread(self._save, ours=credential)

    async def forget(self, credential: str) -> None:
        """Try every refused model anew: the user has changed something at Google."""
        known = self._known.get(credential)
        if known is not None and (known.refused or known.plan == "free"):
            known.refused, known.plan = {}, "" if known.plan == "free" else known.plan
            await asyncio.to_thread(self._save, ours=credential)

    def _is_known(self, ending: Ending | None, status: ModelStatus) -> bool:
        if ending is None or not self._counts(ending):
            return False
        return (ending.stage, ending.retirement) == (status.stage, status.retirement)

    def _living(self, marks: Mapping[str, _Mark]) -> dict[str, _Mark]:
        return {model: mark for model, mark in marks.items() if self._counts(mark)}

    def _counts(self, mark: Refused | Answering | Ending) -> bool:
        """Not older than half a day; nor from the future of a clock that was set back."""
        return -KEPT_S < self._now() - mark.since < KEPT_S

    def _of(self, credential: str) -> Learned:
        return self._known.setdefault(credential, Learned())

    def _save(self, *, ours: str = "") -> None:
        """Write the file, with what another server on the folder has learnt meanwhile.

        ``ours``: the credential of which something was taken away, so that nothing comes back.
        """
        with self._writing:
            for credential, theirs in self._read().items():
                if credential != ours:
                    _merge(self._of(credential), theirs)
            self._known = self._bounded(self._known)
            try:
                content = {name: asdict(known) for name, known in self._known.items()}
                write_private(self._path, json.dumps({"credentials": content}, indent=1) + "\n")
            except OSError as error:
                log.warning("%s cannot be written, so a restart asks anew: %s", FILE, error)

    def _read(self) -> dict[str, Learned]:
        try:
            content = json.loads(self._path.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:
            log.warning("%s cannot be read and is begun anew: %s", FILE, error)
            return {}
        held = content.get("credentials") if isinstance(content, dict) else None
        entries = held.items() if isinstance(held, dict) else ()
        return self._bounded({name: _learned(e) for name, e in entries if isinstance(e, dict)})

    def _bounded(self, everything: Mapping[str, Learned]) -> dict[str, Learned]:
        """Only what still counts, and only so much of it."""
        kept = {}
        for credential, known in everything.items():
            one = Learned(
                self._newest(known.refused),
                self._newest(known.answering),
                self._newest(known.ending),
                known.plan,
            )
            if one != Learned():
                kept[credential] = one
        return dict(list(kept.items())[-MOST_CREDENTIALS:])

    def _newest(self, marks: Mapping[str, _Mark]) -> dict[str, _Mark]:
        living = sorted(self._living(marks).items(), key=lambda one: one[1].since)
        return dict(living[-MOST_MODELS:])


def is_paid_only(model: str) -> bool:
    """Whether the table is sure that no free key is served this model."""
    known = catalogue().model(model)
    sure = known.listed and not known.free_unknown
    return sure and "paid" in known.doors and "free" not in known.doors


def _merge(ours: Learned, theirs: Learned) -> None:
    ours.refused = theirs.refused | ours.refused
    ours.answering = theirs.answering | ours.answering
    ours.ending = theirs.ending | ours.ending
    ours.plan = ours.plan or theirs.plan


def _learned(entry: Mapping[str, Any]) -> Learned:
    """What the file says of one credential; what cannot be one of our marks is left out."""
    plan = entry.get("plan")
    found = Learned(plan=plan if plan in ("free", "paid") else "")
    for kind, mark in _KINDS.items():
        marks = entry.get(kind)
        for model, values in (marks if isinstance(marks, dict) else {}).items():
            if _is_mark(values, mark):
                getattr(found, kind)[model] = mark(**{**values, "model": model})
    return found


def _is_mark(values: object, mark: type[Refused] | type[Answering] | type[Ending]) -> bool:
    names = {one.name for one in fields(mark)}
    if not isinstance(values, dict) or set(values) != names:
        return False
    texts = [value for name, value in values.items() if name != "since"]
    if not all(isinstance(text, str) and len(text) <= _LONGEST for text in texts):
        return False
    since = values["since"]
    return isinstance(since, int | float) and values.get("why", "gone") in get_args(Why)
