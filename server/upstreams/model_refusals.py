"""Google's refusals of one model: another may well answer the same request.

A list of Google's shows ids that a credential may not use, and nothing can be asked in advance: the
first refusal tells (google-2026-11 dossier sections 1.4 and 2). ``learned_models`` keeps it.
"""

from collections.abc import Mapping
from typing import Literal

from server.errors import NotFoundError, ProxyError, RateLimitError

Why = Literal["gone", "unknown", "plan", "licence"]
"""Retired (for this credential); not known there; not in a free key's plan (a quota of 0); not in
the account's licence."""

WORDS: Mapping[Why, str] = {
    "gone": "Google no longer offers it to this credential",
    "unknown": "Google does not know it, or does not serve it there",
    "plan": "the plan of this key has no quota for it",
    "licence": "it is not in the licence of this account",
}


class ModelRefusedError(ProxyError):
    """A refusal that concerns one model and this credential: another model may well answer."""

    why: Why


class ModelNotFoundError(ModelRefusedError, NotFoundError):
    """Gone, unknown, or hidden from accounts without a licence for it."""

    def __init__(self, message: str, *, why: Why) -> None:
        super().__init__(message, param="model", code="model_not_found", should_retry=False)
        self.why = why


class ModelNotInPlanError(ModelRefusedError, RateLimitError):
    """The quota of this model is 0: no delay ends that."""

    why = "plan"

    def __init__(self, message: str) -> None:
        super().__init__(message, source="quota", exhausted=True)
        self.param = "model"


def refused(model: str, why: Why, said: str, instead: str | None) -> ModelRefusedError:
    """The error for who asked for exactly ``model``. ``said``: what Google said, or when."""
    advice = f"Use {instead} instead." if instead else "GET /v1/models lists what there is."
    lead = f"The model '{model}' cannot be used: {WORDS[why]}."
    message = " ".join(part for part in (lead, said, advice) if part)
    if why == "plan":
        return ModelNotInPlanError(message)
    return ModelNotFoundError(message, why=why)
