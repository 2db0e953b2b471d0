"""A client's wish to think -> Gemini's ``thinkingConfig``.

Models up to 2.5 take a budget in tokens, later ones a level, and none takes both. Tables: protocol
notes ``code-assist.md`` 6.7, ``openai.md`` 6, ``anthropic.md`` 6.
"""

from server.gemini.known import LEVELS, Budget, Traits
from server.gemini.types import Json, Level, Thinking

_BUDGET_OF: dict[Level, int] = {
    "off": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 32_768,
}
_LEVEL_UP_TO: tuple[tuple[int, Level], ...] = (
    (0, "off"),
    (1024, "minimal"),
    (8192, "low"),
    (16_384, "medium"),
)


HEADROOM_TOKENS = 8192
"""Room for thoughts on top of a limit that was not meant for them: Gemini counts them in
maxOutputTokens."""


def thinking_config(thinking: Thinking, model: Traits) -> Json:
    """The ``thinkingConfig`` to send; ``{}`` for the model's own default.

    A config that the client wrote itself is read as a wish like any other, so that it fits the
    model: what it says besides level, budget and thoughts is passed on.
    """
    if not model.levels and model.budget is None:
        return {}
    wish = thinking if thinking.config is None else _wish(thinking.config)
    config = {key: value for key, value in (thinking.config or {}).items() if key not in _KNOWN}
    if model.budget is not None:
        budget = _budget(wish, model.budget)
        if budget is not None:
            config["thinkingBudget"] = budget
    elif level := _level(wish, model.levels):
        config["thinkingLevel"] = level.upper()
    # Google refuses includeThoughts where there is no thinking.
    if wish.include and thinks(config, model):
        config["includeThoughts"] = True
    return config


def thinks(config: Json, model: Traits) -> bool:
    """Whether the model thinks when it gets ``config``."""
    budget = config.get("thinkingBudget")
    return model.thinks_by_default if budget is None else budget != 0


def leave_room(config: Json, model: Traits, max_output_tokens: int) -> Json:
    """``config`` with a budget that leaves half the output, or 4096 tokens, for the answer."""
    budget = config.get("thinkingBudget", 0)
    if model.budget is None or budget <= 0:
        return config
    room = max_output_tokens - min(4096, max_output_tokens // 2)
    return {**config, "thinkingBudget": max(model.budget.low, min(budget, room))}


_KNOWN = ("includeThoughts", "thinkingBudget", "thinkingLevel")


def _wish(config: Json) -> Thinking:
    level, budget = str(config.get("thinkingLevel", "")).lower(), config.get("thinkingBudget")
    return Thinking(
        level=level if level in LEVELS else None,
        budget_tokens=budget if isinstance(budget, int) else None,
        include=config.get("includeThoughts") is True,
    )


def _budget(wish: Thinking, budget: Budget) -> int | None:
    wanted = 0 if wish.level == "off" else wish.budget_tokens
    if wanted is None and wish.level is not None:
        wanted = _BUDGET_OF[wish.level]
    if wanted is None:
        return -1 if wish.include and budget.off_by_default else None
    if wanted < 0 or (wanted == 0 and budget.can_be_off):
        return max(-1, wanted)
    return max(budget.low, min(wanted, budget.high))


def _level(wish: Thinking, levels: tuple[Level, ...]) -> Level | None:
    """The least level that is enough, or the most there is."""
    wanted = wish.level
    if wanted is None and wish.budget_tokens is not None and wish.budget_tokens >= 0:
        tokens = wish.budget_tokens
        wanted = next((level for most, level in _LEVEL_UP_TO if tokens <= most), "high")
    if wanted is None:
        return None
    enough = LEVELS[LEVELS.index(wanted) :]
    return next((level for level in levels if level in enough), levels[-1])
