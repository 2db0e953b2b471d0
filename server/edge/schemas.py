"""JSON Schemas of requests and answers, for ``/openapi.json``: as strict as the server is.

Only what is refused when it is missing or wrong is said of a request; everything else an API knows
is taken too, and named in ``x-proxy-dropped`` where it cannot be honoured.
"""

from collections.abc import Mapping

from server.gemini.types import Json

TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
FLAG: Json = {"type": "boolean"}
ANY: Json = {"type": "object"}
OBJECTS: Json = {"type": "array", "items": ANY}


def an_object(required: str = "", **properties: Json) -> Json:
    """An object; ``required``: names, separated by spaces."""
    return {"type": "object", "properties": properties, "required": required.split()}


def list_of(items: Json, **more: Json | int) -> Json:
    return {"type": "array", "items": items, **more}


def _either(*schemas: Json) -> Json:
    return {"anyOf": list(schemas)}


def _const(value: str) -> Json:
    return {"const": value}


_MODEL: Json = {"type": "string", "minLength": 1, "examples": ["gemini-main"]}
_TURN = an_object(
    "role content", role={"enum": ["user", "assistant"]}, content=_either(TEXT, OBJECTS)
)
_CHAT_TURN = an_object(
    "role", role={"enum": ["system", "developer", "user", "assistant"]}, content=TEXT
)
_PART = an_object("", text=TEXT)
_CONTENT = an_object("parts", role=TEXT, parts=list_of(_PART, minItems=1))
_CONTENTS = an_object("contents", contents=list_of(_CONTENT, minItems=1))
_COUNTED = an_object("totalTokens", totalTokens=COUNT)
_VECTOR = an_object("values", values=list_of({"type": "number"}))
_EMBED = an_object(
    "content", content=an_object("", parts={"type": ["array", "null"], "items": ANY})
)
"""Null is absence in Google's JSON; what is in a part, only Google can tell."""

REQUESTS: Mapping[str, Json] = {
    "/v1/chat/completions": an_object(
        "model messages", model=_MODEL, messages=list_of(_CHAT_TURN, minItems=1), stream=FLAG
    ),
    "/v1/completions": an_object("model prompt", model=_MODEL, prompt=TEXT, stream=FLAG),
    "/v1/embeddings": an_object(
        "model input", model=_MODEL, input=_either({**TEXT, "minLength": 1})
    ),
    "/v1/responses": an_object("model input", model=_MODEL, input=TEXT, stream=FLAG),
    "/v1/responses/input_tokens": an_object("model input", model=_MODEL, input=TEXT),
    "/v1/messages": an_object(
        "model messages max_tokens",
        model=_MODEL,
        messages=list_of(_TURN, minItems=1),
        max_tokens={"type": "integer", "minimum": 1},
        stream=FLAG,
    ),
    "/v1/messages/count_tokens": an_object(
        "model messages", model=_MODEL, messages=list_of(_TURN, minItems=1)
    ),
    ":generateContent": _CONTENTS,
    ":streamGenerateContent": _CONTENTS,
    ":countTokens": _CONTENTS,
    ":embedContent": _EMBED,
    ":batchEmbedContents": an_object("requests", requests=list_of(_EMBED, minItems=1)),
}
"""By the end of the path."""

_USAGE = an_object("prompt_tokens total_tokens", prompt_tokens=COUNT, total_tokens=COUNT)
_CHOICES = list_of(an_object("index finish_reason", index=COUNT, finish_reason=TEXT), minItems=1)

ANSWERS: Mapping[str, Json] = {
    "/v1/chat/completions": an_object(
        "id object created model choices usage",
        id=TEXT,
        object=_const("chat.completion"),
        created=COUNT,
        model=TEXT,
        choices=_CHOICES,
        usage=_USAGE,
    ),
    "/v1/completions": an_object(
        "id object created model choices",
        id=TEXT,
        object=_const("text_completion"),
        created=COUNT,
        model=TEXT,
        choices=_CHOICES,
    ),
    "/v1/embeddings": an_object(
        "object data model usage",
        object=_const("list"),
        data=list_of(
            an_object(
                "object index embedding",
                object=_const("embedding"),
                index=COUNT,
                embedding=_either(TEXT, list_of({"type": "number"})),
            )
        ),
        model=TEXT,
        usage=_USAGE,
    ),
    "/v1/responses": an_object(
        "id object created_at status model output",
        id=TEXT,
        object=_const("response"),
        created_at={"type": "number"},
        status={"enum": ["completed", "incomplete", "failed"]},
        model=TEXT,
        output=OBJECTS,
    ),
    "/v1/responses/input_tokens": an_object(
        "object input_tokens", object=_const("response.input_tokens"), input_tokens=COUNT
    ),
    "/v1/responses/{id}/input_items": an_object(
        "object data has_more", object=_const("list"), data=OBJECTS, has_more=FLAG
    ),
    "/v1/responses/{id}": an_object("id object", id=TEXT, object=_const("response")),
    "/v1/messages": an_object(
        "id type role model content stop_reason usage",
        id=TEXT,
        type=_const("message"),
        role=_const("assistant"),
        model=TEXT,
        content=list_of(an_object("type", type=TEXT)),
        stop_reason=TEXT,
        usage=an_object("input_tokens output_tokens", input_tokens=COUNT, output_tokens=COUNT),
    ),
    "/v1/messages/count_tokens": an_object("input_tokens", input_tokens=COUNT),
    ":generateContent": ANY,
    ":streamGenerateContent": {"type": "array", "items": ANY},
    ":countTokens": _COUNTED,
    ":embedContent": an_object("embedding", embedding=_VECTOR),
    ":batchEmbedContents": an_object("embeddings", embeddings=list_of(_VECTOR)),
    "/v1beta/models": an_object("models", models=list_of(an_object("name", name=TEXT))),
    "/v1beta/models/{id}": an_object("name", name=TEXT),
    "/v1/models": _either(
        an_object("data", data=list_of(an_object("id", id=TEXT))),
        an_object("models", models=list_of(an_object("name", name=TEXT))),
    ),
    "/v1/models/{id}": _either(an_object("id", id=TEXT), an_object("name", name=TEXT)),
}
"""By the end of the path, the longest first."""

ERRORS: Mapping[str, Json] = {
    "openai": an_object(
        "error",
        error=an_object(
            "message type param code",
            message={"type": "string", "minLength": 1},
            type=TEXT,
            param={"type": ["string", "null"]},
            code={"type": ["string", "null"]},
        ),
    ),
    "anthropic": an_object(
        "type error",
        type=_const("error"),
        error=an_object("type message", type=TEXT, message={"type": "string", "minLength": 1}),
    ),
    "gemini": an_object(
        "error",
        error=an_object(
            "code message status",
            code={"type": "integer"},
            message={"type": "string", "minLength": 1},
            status=TEXT,
        ),
    ),
}

_NUMBERS = (
    "total_requests successful_requests failed_requests requests_today total_input_tokens "
    "total_output_tokens"
)
PAGES: Mapping[str, tuple[str, Json]] = {
    "/usage": (
        "application/json",
        an_object(
            f"{_NUMBERS} requests_by_model recent_requests",
            **dict.fromkeys(_NUMBERS.split(), COUNT),
            requests_by_model={"type": "object", "additionalProperties": COUNT},
            recent_requests=list_of(
                an_object(
                    "timestamp model success input_tokens output_tokens",
                    timestamp=TEXT,
                    model=TEXT,
                    success=FLAG,
                    input_tokens=COUNT,
                    output_tokens=COUNT,
                )
            ),
        ),
    ),
    "/health": (
        "application/json",
        an_object(
            "status version upstream authenticated rate_limit wait_mode",
            status=_const("ok"),
            version=TEXT,
            upstream={"type": ["string", "null"]},
            authenticated=FLAG,
            rate_limit={"type": "number", "minimum": 0},
            wait_mode=FLAG,
        ),
    ),
    "/openapi.json": ("application/json", an_object("openapi paths", openapi=TEXT, paths=ANY)),
    "/metrics": ("text/plain", TEXT),
    "/events": ("text/event-stream", TEXT),
}
"""(media type, schema) of what is no HTML page."""


def for_path(table: Mapping[str, Json], path: str) -> Json | None:
    """The entry whose end fits; ``/v1`` and ``/v1beta`` are told apart where both are there."""
    return next(
        (table[end] for end in sorted(table, key=len, reverse=True) if path.endswith(end)), None
    )
