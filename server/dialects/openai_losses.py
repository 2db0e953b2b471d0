"""What requests to OpenAI's endpoints lose on their way to Gemini."""

from server.dialects.losses import Loss
from server.gemini.types import Json

_USER: Json = {"role": "user", "content": "x"}
_FORM: Json = {"type": "json_object"}

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
    Loss(
        "tools[]",
        "dropped",
        "entries of a type Gemini has no counterpart for, by their place",
        {"tools": [{"type": "hologram"}]},
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
