"""Anthropic's Messages API: ``/v1/messages``, ``/v1/messages/count_tokens``, ``/v1/models``.

The parts of the dialect, in the order a request meets them: this module reads the body,
``anthropic_blocks`` its messages, ``anthropic_tools`` its tools; ``anthropic_stream`` tells the
answer, ``anthropic_errors`` a failure, ``anthropic_models`` the model list. Sources: Anthropic SDK
2.12 (``types/message_create_params.py``); requests measured with Claude Code 2.1.330.
"""

import json
from collections.abc import Mapping

from server.dialects.anthropic.blocks import Conversation, plain
from server.dialects.anthropic.errors import encode_error
from server.dialects.anthropic.losses import LOSSES
from server.dialects.anthropic.models import encode_model, encode_models
from server.dialects.anthropic.stream import Notes, StreamEncoder, Visibility, encode_response
from server.dialects.anthropic.tools import Tools, read_tools
from server.dialects.base import (
    CountTokens,
    Dialect,
    Generate,
    GetModel,
    ListModels,
    Params,
    Route,
)
from server.dialects.fields import Fields, check_stops, wrong
from server.dialects.json_schema import answer_schema
from server.dialects.losses import ignored
from server.gemini.names import ToolNames
from server.gemini.thinking import HEADROOM_TOKENS
from server.gemini.types import Call, Count, GenerateRequest, Json, Level, Thinking

_IGNORED = ignored(LOSSES)

_SHORT_ANSWER_TOKENS = 1024
"""Below this a client that did not ask for thinking wants a quick word (n8n tests with 1)."""

_EFFORT: dict[str, tuple[Level, int]] = {
    "low": ("low", 2048),
    "medium": ("medium", 8192),
    "high": ("high", -1),
    "xhigh": ("xhigh", 32768),
    "max": ("xhigh", 32768),
}
"""``output_config.effort`` -> level (Gemini 3) and budget in tokens (2.5; -1: up to the model)."""

_LEVEL_UP_TO: tuple[tuple[int, Level], ...] = (
    (1024, "minimal"),
    (4096, "low"),
    (12288, "medium"),
)
"""Largest ``budget_tokens`` of each level; beyond them it is ``high``."""


def parse_request(body: Json, params: Params) -> Call:
    """The body of ``POST /v1/messages``. Raises ``BadRequestError`` naming the field."""
    return _parse(body, params, counting=False)


def parse_count(body: Json, params: Params) -> Call:
    """The body of ``POST /v1/messages/count_tokens``: the same, and no ``max_tokens`` needed."""
    return _parse(body, params, counting=True)


def encode_count(count: Count) -> Json:
    return {"input_tokens": count.tokens}


def _parse(body: Json, params: Params, *, counting: bool) -> Call:
    fields = Fields.of(body, notation="dots")
    model = fields.required_string("model")
    max_tokens = fields.integer("max_tokens", low=0)
    if max_tokens is None and not counting:
        raise wrong("max_tokens", "Field required", code="missing_required_parameter")
    names = ToolNames()
    conversation = Conversation(names)
    conversation.read_system(fields)
    conversation.read_messages(fields)
    tools = read_tools(fields, conversation.loaded, conversation.changes, names)
    output = fields.object("output_config")
    effort = output.string("effort") if output else None
    effort = conversation.effort or effort
    json_config = _output_format(fields, output)
    config = _generation_config(fields, max_tokens) | json_config
    thinking, visibility = _thinking(fields, effort, max_tokens)
    return Call(
        dialect="anthropic",
        model=model,
        request=_request(conversation, tools, config),
        stream=fields.boolean("stream"),
        thinking=thinking,
        parallel_tool_calls=tools.parallel,
        stop=_stop_sequences(fields),
        tool_names=names,
        id_prefix="toolu_",
        carried=conversation.carried,
        downloads=conversation.incoming.downloads,
        pictures=conversation.incoming.pictures,
        past_media=conversation.incoming.past_media,
        session=_session(fields, params.headers),
        dropped=fields.unread(_IGNORED, plain) + tuple(conversation.incoming.left_out),
        options=Notes(visibility, tools.search_only, max_tokens == 0),
    )


def _request(conversation: Conversation, tools: Tools, config: Json) -> GenerateRequest:
    request: GenerateRequest = {"contents": conversation.contents}
    if conversation.system:
        request["systemInstruction"] = {"role": "user", "parts": conversation.system}
    if tools.entries:
        request["tools"] = tools.entries
    if tools.config:
        request["toolConfig"] = tools.config
    if config:
        request["generationConfig"] = config
    return request


def _generation_config(fields: Fields, max_tokens: int | None) -> Json:
    """What the client gave, brought into Gemini's range; nothing is filled in."""
    config: Json = {}
    if max_tokens is not None:
        config["maxOutputTokens"] = max(1, max_tokens)
    if (temperature := fields.number("temperature")) is not None:
        config["temperature"] = min(max(0.0, temperature), 2.0)
    if (top_p := fields.number("top_p")) is not None:
        config["topP"] = min(max(0.0, top_p), 1.0)
    if (top_k := fields.integer("top_k")) is not None:
        config["topK"] = max(1, top_k)
    return config


def _output_format(fields: Fields, output: Fields | None) -> Json:
    """Structured output, from ``output_config.format`` or the older ``output_format``."""
    legacy = fields.object("output_format")
    wanted = (output.object("format") if output else None) or legacy
    if wanted is None or wanted.required_string("type") != "json_schema":
        return {}
    if wanted.get("schema") is None:
        raise wrong(wanted.at("schema"), "Field required")
    config: Json = {"responseMimeType": "application/json"}
    if schema := answer_schema(wanted, "schema"):
        config["responseJsonSchema"] = schema
    return config


def _thinking(
    fields: Fields, effort: str | None, max_tokens: int | None
) -> tuple[Thinking, Visibility]:
    """How much to think, and what the client sees of it.

    An explicit budget counts for more than the effort; both stay clear of the room that the
    visible answer needs, where the real API would refuse the request.
    """
    wish = fields.object("thinking")
    kind = wish.required_string("type") if wish else None
    if max_tokens == 0:
        return Thinking(level="off"), "none"
    level, budget = _EFFORT.get(effort or "", (None, None))
    if wish and kind in ("enabled", "adaptive"):
        asked = wish.integer("budget_tokens", low=0) if kind == "enabled" else None
        if asked is not None:
            level, budget = _level_of(asked), asked
        budget = _capped(-1 if budget is None else budget, max_tokens)
        shown = wish.get("display") in (None, "summarized")
        small = max_tokens is not None and max_tokens < _SHORT_ANSWER_TOKENS
        headroom = HEADROOM_TOKENS if small else 0
        thinking = Thinking(
            level=level, budget_tokens=budget, include=shown, headroom_tokens=headroom
        )
        return thinking, "shown" if shown else "hidden"
    short = wish is None and max_tokens is not None and max_tokens < _SHORT_ANSWER_TOKENS
    if short or kind in ("disabled", "between_tools"):
        return Thinking(level="off", headroom_tokens=HEADROOM_TOKENS), "none"
    room = max_tokens and max_tokens + HEADROOM_TOKENS
    budget = _capped(budget, room)
    return Thinking(level=level, budget_tokens=budget, headroom_tokens=HEADROOM_TOKENS), "none"


def _level_of(budget_tokens: int) -> Level:
    return next((level for most, level in _LEVEL_UP_TO if budget_tokens <= most), "high")


def _capped(budget_tokens: int | None, room_tokens: int | None) -> int | None:
    """The budget, less if need be, so that at least half or 4096 tokens are left for the answer."""
    if budget_tokens is None or budget_tokens < 0 or room_tokens is None:
        return budget_tokens
    return min(budget_tokens, room_tokens - min(4096, room_tokens // 2))


def _stop_sequences(fields: Fields) -> tuple[str, ...]:
    sequences: list[str] = []
    for index, sequence in enumerate(fields.array("stop_sequences") or ()):
        if not isinstance(sequence, str):
            raise wrong(fields.item("stop_sequences", index), "Input should be a valid string")
        if not sequence.strip():
            raise wrong("stop_sequences", "each stop sequence must contain non-whitespace")
        sequences.append(sequence)
    check_stops("stop_sequences", sequences)
    return tuple(sequences)


def _session(fields: Fields, headers: Mapping[str, str]) -> str | None:
    """Claude Code names its session in a header and, as JSON, inside ``metadata.user_id``."""
    metadata = fields.get("metadata")
    known = isinstance(metadata, dict)
    user = fields.wrap(metadata, "metadata").get("user_id") if known else None
    if (session := headers.get("x-claude-code-session-id")) or not isinstance(user, str):
        return session or None
    try:
        inner = json.loads(user)
    except (ValueError, RecursionError):
        inner = None
    session = inner.get("session_id") if isinstance(inner, dict) else None
    return session if session and isinstance(session, str) else user or None


def speaks(headers: Mapping[str, str]) -> bool:
    """Whether an Anthropic client sent these headers.

    Its SDKs since 2.12 send the key as a Bearer token, so ``anthropic-version`` counts first.
    """
    bearer = headers.get("authorization", "").lower().startswith("bearer ")
    return "anthropic-version" in headers or ("x-api-key" in headers and not bearer)


DIALECT = Dialect(
    name="anthropic",
    routes=(
        Route("POST", "/v1/messages", Generate(parse_request, encode_response, StreamEncoder)),
        Route("POST", "/v1/messages/count_tokens", CountTokens(parse_count, encode_count)),
        Route("GET", "/v1/models", ListModels(encode_models)),
        Route("GET", "/v1/models/{id}", GetModel(encode_model)),
    ),
    losses=LOSSES,
    encode_error=encode_error,
    speaks=speaks,
    request_id_header="request-id",
)
