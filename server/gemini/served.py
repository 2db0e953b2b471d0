"""Who answered: ``modelVersion`` and ``modelStatus`` of a chunk.

Google re-routes retired ids without saying so in any other place (google-2026-11 dossier sections
0 and 2). Vertex AI may add ``@`` and a version.
"""

import re
from dataclasses import dataclass

from server.gemini.catalogue import catalogue
from server.gemini.known import DOORS

_REVISION = re.compile(r"(?:-(?:\d+|preview|exp|default))+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """``modelStatus`` of an answer (Gemini API only)."""

    stage: str = ""
    retirement: str = ""
    """An ISO time; empty: none."""
    message: str = ""


def served_id(version: str, asked: str) -> str:
    """The id of the model that answered; ``asked`` when that is what answered, or a revision of it.

    ``version``: Google's ``modelVersion``.
    """
    model = version.rpartition("/")[2].partition("@")[0].strip()
    if not model or model == asked:
        return asked
    bare = asked.partition("@")[0]
    for longer, shorter in ((model, bare), (bare, model)):
        if longer == shorter or (
            longer.startswith(shorter) and _REVISION.fullmatch(longer, len(shorter))
        ):
            return asked
    spelt = {catalogue().usual_spelling(model, door) for door in DOORS}
    return asked if asked in spelt else model


def read_status(value: object) -> ModelStatus | None:
    """``modelStatus``, or None for what is none."""
    if not isinstance(value, dict):
        return None
    stage, time, said = (value.get(n) for n in ("modelStage", "retirementTime", "message"))
    if not isinstance(stage, str) and not isinstance(time, str):
        return None
    return ModelStatus(
        stage=stage[:64] if isinstance(stage, str) else "",
        retirement=time[:64] if isinstance(time, str) else "",
        message=said[:500] if isinstance(said, str) else "",
    )
