"""What requests to the Responses API lose on their way to Gemini."""

from server.dialects.losses import OBJECT, Loss, schema_losses
from server.gemini.types import Json

_PICTURE: Json = {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low"}
_GIF: Json = {"type": "input_image", "image_url": "data:image/gif;base64,aGk="}
_SCHEMA: Json = {"type": "json_schema", "name": "a", "strict": True, "schema": OBJECT}
_STRICT: Json = {"type": "function", "name": "f", "strict": True, "defer_loading": True}

LOSSES = (
    *(
        Loss(name, "dropped", "Gemini's models refuse penalties", {name: 0.5})
        for name in ("frequency_penalty", "presence_penalty")
    ),
    Loss("n", "dropped", "this API has one answer", {"n": 2}),
    Loss("top_logprobs", "dropped", "not passed on in this version", {"top_logprobs": 3}),
    Loss("text.verbosity", "dropped", "Gemini has no counterpart", {"text": {"verbosity": "low"}}),
    *schema_losses(
        (
            "tools[].parameters",
            lambda schema: {"tools": [{"type": "function", "name": "f", "parameters": schema}]},
        ),
        (
            "text.format.schema",
            lambda schema: {
                "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}
            },
        ),
    ),
    Loss(
        "tools[]",
        "dropped",
        "hosted tools other than web search, by their place",
        {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
    ),
    Loss(
        "input[]",
        "dropped",
        "items of types without a counterpart (hosted tools of OpenAI), and new ones",
        {"input": [{"type": "file_search_call", "id": "f"}, {"role": "user", "content": "x"}]},
    ),
    Loss(
        "input[].content[].detail",
        "dropped",
        "other than `auto`: Gemini's own resolution counts",
        {"input": [{"role": "user", "content": [_PICTURE]}]},
    ),
    Loss(
        "tools[].filters",
        "dropped",
        "of web search, as all its settings: Google decides how it searches",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.test"]}}]},
    ),
    *(
        Loss(f"{path}.{name}", "ignored", why, {"tools": [example]})
        for path, example in (
            ("tools[]", _STRICT),
            ("tools[].tools[]", {"type": "namespace", "name": "n", "tools": [_STRICT]}),
        )
        for name, why in (
            ("strict", "Gemini keeps to every schema"),
            ("defer_loading", "all tools are declared at once"),
        )
    ),
    Loss(
        "text.format.strict",
        "ignored",
        "Gemini keeps to every schema",
        {"text": {"format": _SCHEMA}},
    ),
    Loss(
        "input[]",
        "changed",
        "reasoning items carry signatures; their text is not sent again",
        {"input": [{"type": "reasoning", "summary": []}, {"role": "user", "content": "x"}]},
    ),
    Loss(
        "input[].content[].image_url",
        "changed",
        "pictures of types that Gemini does not take become PNG",
        {"input": [{"role": "user", "content": [_GIF]}]},
    ),
    Loss("truncation", "changed", "accepted; nothing is ever cut", {"truncation": "auto"}),
    Loss(
        "parallel_tool_calls",
        "changed",
        "false: the first call of an answer is passed on, the others are not",
        {"parallel_tool_calls": False},
    ),
    *(
        Loss(name, "ignored", why, {name: example})
        for name, why, example in (
            ("user", "an id for OpenAI's abuse checks", "u"),
            ("safety_identifier", "an id for OpenAI's abuse checks", "u"),
            ("service_tier", "OpenAI's price classes", "auto"),
            ("stream_options", "only obfuscation, which is never added", {}),
            ("client_metadata", "Codex's own notes", {"a": "b"}),
            ("prompt_cache_options", "Gemini caches by itself", {"mode": "auto"}),
            ("prompt_cache_retention", "Gemini caches by itself", "24h"),
            ("context_management", "nothing is ever cut", [{"type": "compaction"}]),
            ("moderation", "Google's own filters apply", {"model": "m"}),
            ("access_programs", "OpenAI's own", ["a"]),
            ("image", "settings of OpenAI's image tool", {"quality": "low"}),
            ("max_tool_calls", "concerns OpenAI's hosted tools", 3),
            ("personality", "OpenAI's own", "friendly"),
        )
    ),
)
"""What responses lose."""
