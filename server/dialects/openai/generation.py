"""OpenAI's generation fields -> generationConfig and the wish to think.

Shared by chat, completions and Responses. Levels and budgets: Google's *OpenAI compatibility* page
(reasoning effort table); fields: OpenAI API reference, *Create chat completion*.
"""

from dataclasses import replace

from server.dialects.fields import Fields, check_stops, wrong
from server.dialects.json_schema import answer_schema
from server.gemini.fit import MAX_STOP_SEQUENCES
from server.gemini.thinking import HEADROOM_TOKENS
from server.gemini.types import Call, Json, Level, Thinking

_EFFORTS: dict[str, tuple[Level, int]] = {
    "none": ("off", 0),
    "minimal": ("minimal", 1024),
    "low": ("low", 1024),
    "medium": ("medium", 8192),
    "high": ("high", 24_576),
    "xhigh": ("xhigh", 32_768),
    "max": ("xhigh", 32_768),
    "ultra": ("xhigh", 32_768),
}
"""``reasoning_effort`` -> (level for Gemini 3 and later, budget in tokens for 2.5)."""

_OFF = Thinking(level="off", budget_tokens=0)

_SHORT_ANSWER_TOKENS = 1024
"""Below this limit thoughts would eat the answer, so they get room of their own."""

_SEED_BITS = 0x7FFF_FFFF
"""Gemini's seed is an int32; OpenAI's an int64."""


def read_sampling(fields: Fields, call: Call) -> Json:
    """Read what steers the sampling; the returned generationConfig is the call's own."""
    config = call.request.setdefault("generationConfig", {})
    values = {
        "temperature": fields.number("temperature", low=0, high=2),
        "topP": fields.number("top_p", low=0, high=1),
        "topK": max(0, fields.integer("top_k") or 0) or None,
        "seed": fields.integer("seed"),
    }
    config.update({name: value for name, value in values.items() if value is not None})
    if "seed" in config:
        config["seed"] &= _SEED_BITS
    for name in ("presence_penalty", "frequency_penalty"):
        if fields.number(name, low=-2, high=2):
            call.dropped += (name,)
    for name in ("logit_bias", "logprobs", "top_logprobs"):
        if not fields.raw.get(name):  # false, 0 and {} ask for nothing
            fields.known(name)
    call.choices = fields.integer("n", low=1, high=8) or 1
    _read_stop(fields, call)
    return config


def _read_stop(fields: Fields, call: Call) -> None:
    """``stop``: as many as Gemini takes go upstream, the others are matched here."""
    value = fields.get("stop")
    items = [value] if isinstance(value, str) else fields.array("stop") or []
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise wrong(fields.item("stop", index), "Input should be a valid string")
    sequences = [item for item in items if isinstance(item, str) and item]
    check_stops("stop", sequences)
    sent, call.stop = sequences[:MAX_STOP_SEQUENCES], tuple(sequences[MAX_STOP_SEQUENCES:])
    if sent:
        call.request["generationConfig"]["stopSequences"] = sent


def read_limit(fields: Fields, *names: str) -> int | None:
    """The most tokens wanted; of several ``names`` the first that is set wins."""
    limits = [fields.integer(name, low=1) for name in names]
    return next((limit for limit in limits if limit is not None), None)


def read_thinking(fields: Fields, google: Fields | None, limit_tokens: int | None) -> Thinking:
    """How much the client wants the model to think; what is most explicit wins.

    ``google`` is the client's ``google`` extension object. Without any wish a short answer gets as
    little thinking as possible, and every other one the model's own default, shown. The thoughts
    of a model that must think, or was asked to, stand beside a short answer.
    """
    config = google and (google.object("thinking_config") or google.object("thinkingConfig"))
    wishes = (
        _explicit(config) if config else None,
        _effort(fields, "reasoning_effort"),
        _reasoning(fields.object("reasoning")),
        _anthropic(fields.object("thinking")),
    )
    wish = next((wish for wish in wishes if wish is not None), None)
    if limit_tokens is not None and limit_tokens < _SHORT_ANSWER_TOKENS:
        return replace(wish or _OFF, headroom_tokens=HEADROOM_TOKENS)
    return wish or Thinking(include=True)


def _explicit(config: Fields) -> Thinking:
    """``thinking_config`` in Google's words, in either spelling."""
    include = config.boolean("include_thoughts") or config.boolean("includeThoughts")
    budget = _either(config.integer("thinking_budget"), config.integer("thinkingBudget"))
    level = _either(config.string("thinking_level"), config.string("thinkingLevel"))
    values = {"includeThoughts": include, "thinkingBudget": budget, "thinkingLevel": level}
    return Thinking(include=include, config={k: v for k, v in values.items() if v is not None})


def _either(one: object, other: object) -> object:
    return other if one is None else one


def _effort(fields: Fields, name: str) -> Thinking | None:
    effort = fields.string(name)
    if effort is None:
        return None
    if effort not in _EFFORTS:
        raise wrong(fields.at(name), f"Input should be one of {', '.join(_EFFORTS)}")
    level, budget = _EFFORTS[effort]
    return Thinking(level=level, budget_tokens=budget, include=level != "off")


def _reasoning(reasoning: Fields | None) -> Thinking | None:
    """``reasoning`` {effort, max_tokens, exclude, enabled}: OpenRouter's form, and Responses'."""
    if reasoning is None:
        return None
    effort, budget = _effort(reasoning, "effort"), reasoning.integer("max_tokens")
    reasoning.boolean("enabled")
    shown = not reasoning.boolean("exclude")
    if reasoning.raw.get("enabled") is False:
        return _OFF
    wish = effort or (Thinking(include=True) if budget is None else _budget(budget))
    return wish if shown else Thinking(level=wish.level, budget_tokens=wish.budget_tokens)


def _anthropic(thinking: Fields | None) -> Thinking | None:
    """``thinking`` {type, budget_tokens}: Anthropic's form, sent by clients that speak both."""
    if thinking is None:
        return None
    kind, budget = thinking.string("type"), thinking.integer("budget_tokens")
    if kind == "disabled":
        return _OFF
    return Thinking(include=True) if budget is None else _budget(budget)


def _budget(tokens: int) -> Thinking:
    """A budget in tokens, and the level nearest to it; -1 leaves both to the model."""
    if tokens < 0:
        return Thinking(budget_tokens=-1, include=True)
    if tokens == 0:
        return _OFF
    level: Level = "low" if tokens <= 1024 else "medium" if tokens <= 8192 else "high"
    return Thinking(level=level, budget_tokens=tokens, include=True)


def read_format(form: Fields | None, config: Json) -> None:
    """``response_format`` (chat, nested) or ``text.format`` (Responses, flat) -> JSON answers.

    ``strict`` and ``name`` say nothing to Gemini; the description goes into the schema.
    """
    if form is None:
        return
    kind = form.required_string("type")
    if kind == "text":
        return
    if kind not in ("json_object", "json_schema"):
        raise wrong(form.at("type"), "Input should be 'text', 'json_object' or 'json_schema'")
    config["responseMimeType"] = "application/json"
    if kind == "json_object":
        return
    inner = form.object("json_schema") or form
    if inner.get("schema") is None:
        raise wrong(inner.at("schema"), "Field required", code="missing_required_parameter")
    cleaned = answer_schema(inner, "schema")
    if cleaned is not None:
        texts = (inner.string("description"), cleaned.get("description"))
        description = "\n".join(text for text in texts if text)
        config["responseJsonSchema"] = cleaned | (
            {"description": description} if description else {}
        )
