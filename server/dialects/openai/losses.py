"""What requests to OpenAI's endpoints lose on their way to Gemini."""

from server.dialects.losses import OBJECT, Loss, schema_losses
from server.gemini.types import Json

_USER: Json = {"role": "user", "content": "x"}
_FORM: Json = {"type": "json_object"}
_STRICT: Json = {"name": "f", "strict": True}
_SCHEMA: Json = {
    "type": "json_schema",
    "json_schema": {"name": "a", "strict": True, "schema": OBJECT},
}
_GIF: Json = {"type": "image_url", "image_url": {"url": "data:image/gif;base64,aGk="}}
_PICTURE: Json = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"},
}

LOSSES = (
    *(
        Loss(name, "dropped", "Gemini's models refuse penalties", {name: 0.5})
        for name in ("frequency_penalty", "presence_penalty")
    ),
    Loss("logit_bias", "dropped", "Gemini has no counterpart", {"logit_bias": {"50256": -100}}),
    Loss("logprobs", "dropped", "not passed on in this version", {"logprobs": True}),
    Loss("top_logprobs", "dropped", "not passed on in this version", {"top_logprobs": 3}),
    Loss("prediction", "dropped", "Gemini has no counterpart", {"prediction": {"type": "content"}}),
    Loss("verbosity", "dropped", "Gemini has no counterpart", {"verbosity": "low"}),
    *schema_losses(
        (
            "tools[].function.parameters",
            lambda schema: {
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]
            },
        ),
        (
            "response_format.json_schema.schema",
            lambda schema: {
                "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}
            },
        ),
    ),
    Loss(
        "tools[]",
        "dropped",
        "entries of a type Gemini has no counterpart for, by their place",
        {"tools": [{"type": "hologram"}]},
    ),
    Loss(
        "messages[].content[].image_url.detail",
        "dropped",
        "other than `auto`: Gemini's own resolution counts",
        {"messages": [{"role": "user", "content": [_PICTURE]}]},
    ),
    Loss(
        "messages[].audio",
        "dropped",
        "speech is not kept here; its id means nothing later",
        {"messages": [_USER, {"role": "assistant", "content": "z", "audio": {"id": "a"}}, _USER]},
    ),
    *(
        Loss(
            f"web_search_options.{name}",
            "dropped",
            "Google decides how it searches",
            {"web_search_options": {name: example}},
        )
        for name, example in (("search_context_size", "low"), ("user_location", {"type": "a"}))
    ),
    Loss(
        "messages[].content[].image_url",
        "changed",
        "pictures of types that Gemini does not take become PNG",
        {"messages": [{"role": "user", "content": [_GIF]}]},
    ),
    Loss("n", "changed", "each choice is a request of its own; usage is the sum", {"n": 2}),
    Loss("stop", "changed", "five go to Gemini, more are matched here", {"stop": ["a"] * 7}),
    Loss("max_tokens", "changed", "brought within the model's limit", {"max_tokens": 999_999}),
    Loss("seed", "changed", "cut to 31 bits", {"seed": 2**40}),
    Loss(
        "parallel_tool_calls",
        "changed",
        "false: the first call of an answer is passed on, the others are not",
        {"parallel_tool_calls": False},
    ),
    Loss(
        "response_format",
        "changed",
        "beside tools on models up to 2.5: an instruction with the schema",
        {"response_format": _FORM},
    ),
    Loss(
        "messages[].role",
        "changed",
        "a system or developer message in the middle becomes marked user text",
        {"messages": [_USER, {"role": "developer", "content": "y"}, _USER]},
    ),
    Loss(
        "messages[].reasoning_content",
        "ignored",
        "thoughts of earlier answers are not sent again",
        {"messages": [_USER, {"role": "assistant", "reasoning_content": "z"}, _USER]},
    ),
    *(
        Loss(
            f"messages[].{name}",
            "ignored",
            why,
            {"messages": [_USER, {"role": "assistant", "content": "z", name: example}, _USER]},
        )
        for name, why, example in (
            ("reasoning", "thoughts of earlier answers are not sent again", "z"),
            ("annotations", "sources of earlier answers are not sent again", [{"type": "u"}]),
            ("parsed", "the answer once more", {"a": 1}),
        )
    ),
    Loss(
        "*.cache_control",
        "ignored",
        "Gemini caches by itself",
        {"messages": [{**_USER, "cache_control": {"type": "ephemeral"}}]},
    ),
    *(
        Loss(f"{path}.strict", "ignored", "Gemini keeps to every schema", example)
        for path, example in (
            ("tools[].function", {"tools": [{"type": "function", "function": _STRICT}]}),
            ("tools[]", {"tools": [{"type": "function", **_STRICT}]}),
            ("functions[]", {"functions": [_STRICT]}),
            ("response_format.json_schema", {"response_format": _SCHEMA}),
        )
    ),
    Loss(
        "response_format.json_schema.name",
        "ignored",
        "Gemini's schemas have no name",
        {"response_format": _SCHEMA},
    ),
    Loss(
        "stream_options.include_obfuscation",
        "ignored",
        "it is never added",
        {"stream_options": {"include_obfuscation": True}},
    ),
    Loss("messages[].name", "ignored", "names of speakers", {"messages": [{**_USER, "name": "a"}]}),
    *(
        Loss(name, "ignored", why, {name: example})
        for name, why, example in (
            ("user", "an id for OpenAI's abuse checks", "u"),
            ("safety_identifier", "an id for OpenAI's abuse checks", "u"),
            ("metadata", "labels for OpenAI's dashboard", {"a": "b"}),
            ("store", "nothing of a chat is ever stored here", True),
            ("service_tier", "OpenAI's price classes", "auto"),
            ("prompt_cache_options", "Gemini caches by itself", {"mode": "auto"}),
            ("prompt_cache_retention", "Gemini caches by itself", "24h"),
        )
    ),
    Loss("user", "ignored", "an id for OpenAI's abuse checks", {"user": "u"}, "/v1/completions"),
    Loss("best_of", "ignored", "one answer is made", {"best_of": 3}, "/v1/completions"),
    Loss("user", "ignored", "an id for OpenAI's abuse checks", {"user": "u"}, "/v1/embeddings"),
)
"""What chat, legacy completions and embeddings lose."""
