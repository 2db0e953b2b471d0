"""What requests to Anthropic's endpoints lose on their way to Gemini."""

from server.dialects.losses import Loss, schema_losses
from server.gemini.types import Json

_USER: Json = {"role": "user", "content": "x"}
_TOOL: Json = {"name": "f", "input_schema": {"type": "object"}}
_DOCUMENT: Json = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    "citations": {"enabled": True},
}
_GIF: Json = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/gif", "data": "aGk="},
}
_UPLOAD: Json = {"type": "container_upload", "file_id": "f"}
_SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}

LOSSES = (
    Loss("mcp_servers", "dropped", "remote MCP is not offered", {"mcp_servers": [{"type": "url"}]}),
    Loss("container", "dropped", "Anthropic's own sandboxes", {"container": "c"}),
    Loss(
        "fallbacks",
        "dropped",
        "a request is answered by the model it asked for",
        {"fallbacks": [{"model": "m"}]},
    ),
    *schema_losses(
        (
            "tools[].input_schema",
            lambda schema: {"tools": [{"name": "f", "input_schema": schema}]},
        ),
        (
            "output_config.format.schema",
            lambda schema: {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        ),
    ),
    Loss(
        "tools[]",
        "dropped",
        "tools without a counterpart (MCP, toolsets), by their place",
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]},
    ),
    Loss(
        "stop_sequences",
        "changed",
        "matched here: Gemini does not say which one it hit",
        {"stop_sequences": ["END"]},
    ),
    Loss(
        "max_tokens",
        "changed",
        "brought within the model's limit; thoughts nobody asked for get room of their own",
        {"max_tokens": 999_999},
    ),
    Loss(
        "thinking.budget_tokens",
        "changed",
        "brought within the model's range, or to its levels",
        {"thinking": {"type": "enabled", "budget_tokens": 100}},
    ),
    Loss(
        "tool_choice.disable_parallel_tool_use",
        "changed",
        "the first call of an answer is passed on, the others are not",
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    Loss(
        "messages[].content[].source",
        "changed",
        "pictures of types that Gemini does not take become PNG",
        {"messages": [{"role": "user", "content": [_GIF]}]},
    ),
    Loss(
        "messages[].role",
        "changed",
        "system messages in the middle become marked user text",
        {"messages": [_USER, {"role": "system", "content": "y"}]},
    ),
    *(
        Loss(
            f"tools[].{name}",
            "dropped",
            "Google decides how often and where it searches",
            {"tools": [{**_SEARCH, name: example}]},
        )
        for name, example in (
            ("max_uses", 3),
            ("allowed_domains", ["a.test"]),
            ("blocked_domains", ["a.test"]),
            ("user_location", {"type": "approximate"}),
        )
    ),
    Loss(
        "tools[].input_examples",
        "dropped",
        "Gemini has no counterpart",
        {"tools": [{**_TOOL, "input_examples": [{"a": 1}]}]},
    ),
    Loss(
        "messages[].content[].citations",
        "dropped",
        "of documents: answers cite searches only",
        {"messages": [{"role": "user", "content": [_DOCUMENT]}]},
    ),
    Loss(
        "messages[].content[]",
        "dropped",
        "blocks of types without a counterpart, and new ones",
        {
            "messages": [
                _USER,
                {"role": "user", "content": [_UPLOAD, {"type": "text", "text": "x"}]},
            ]
        },
    ),
    Loss(
        "messages[].content[].thinking",
        "ignored",
        "thoughts are not sent again; signatures are",
        {
            "messages": [
                _USER,
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "z", "signature": "s"}],
                },
                _USER,
            ]
        },
    ),
    Loss(
        "*.cache_control",
        "ignored",
        "Gemini caches by itself",
        {"cache_control": {"type": "ephemeral"}, "tools": [{**_TOOL, "cache_control": {"a": 1}}]},
    ),
    *(
        Loss(f"tools[].{name}", "ignored", why, {"tools": [{**_TOOL, name: True}]})
        for name, why in (
            ("strict", "Gemini keeps to every schema"),
            ("eager_input_streaming", "Gemini sends arguments whole"),
        )
    ),
    *(
        Loss(name, "ignored", why, {name: example})
        for name, why, example in (
            ("metadata", "seeds the session id, hashed", {"user_id": "u"}),
            ("betas", "switches of Anthropic's service", ["b"]),
            ("context_management", "nothing is ever cut", {"edits": []}),
            ("diagnostics", "Anthropic's own", {"a": 1}),
            ("inference_geo", "Anthropic's own regions", "eu"),
            ("safeguards", "Google's own filters apply", []),
            ("service_tier", "Anthropic's price classes", "auto"),
            ("speed", "Anthropic's own", "fast"),
            ("user_profile_id", "Anthropic's own", "u"),
            ("workspace_id", "Anthropic's own", "w"),
        )
    ),
)
"""What messages lose."""
