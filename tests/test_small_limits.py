"""Connection tests of tools ask for 1 to 20 tokens: every model that thinks gets room to."""

from typing import Any

import pytest

from server.dialects import DIALECTS
from server.dialects.base import Generate, Params
from server.gemini.fit import fit
from server.gemini.model_traits import traits
from server.gemini.models import describe
from server.gemini.signatures import StoredSignature
from server.gemini.thinking import thinks
from server.gemini.types import Json

USER = [{"role": "user", "content": "hi"}]
ASKED: dict[str, tuple[str, str, Json]] = {
    "chat": ("/v1/chat/completions", "max_tokens", {"messages": USER}),
    "chat, today's word": ("/v1/chat/completions", "max_completion_tokens", {"messages": USER}),
    "chat, effort": (
        "/v1/chat/completions",
        "max_tokens",
        {"messages": USER, "reasoning_effort": "high"},
    ),
    "completions": ("/v1/completions", "max_tokens", {"prompt": "hi"}),
    "responses": ("/v1/responses", "max_output_tokens", {"input": "hi"}),
    "responses, effort": (
        "/v1/responses",
        "max_output_tokens",
        {"input": "hi", "reasoning": {"effort": "medium"}},
    ),
    "messages": ("/v1/messages", "max_tokens", {"messages": USER}),
    "messages, adaptive": (
        "/v1/messages",
        "max_tokens",
        {"messages": USER, "thinking": {"type": "adaptive"}},
    ),
    "messages, off": (
        "/v1/messages",
        "max_tokens",
        {"messages": USER, "thinking": {"type": "disabled"}},
    ),
}
MODELS = (
    *("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-pro-preview"),
    *("gemini-3-flash-preview", "gemini-3.1-pro-preview", "gemini-3.5-flash-lite"),
    *("gemini-3.8-flash", "gemini-9-pro"),
)


class Nothing:
    def call(self, tool_call_id: str) -> StoredSignature | None:
        return None

    def text(self, digest: str) -> StoredSignature | None:
        return None


@pytest.mark.parametrize("limit", [1, 10, 16, 20])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("asked", ASKED)
def test_a_small_limit_leaves_room_for_thoughts(asked: str, model: str, limit: int) -> None:
    path, name, rest = ASKED[asked]
    operation = next(r.operation for d in DIALECTS for r in d.routes if r.path == path)
    assert isinstance(operation, Generate)
    call = operation.parse({"model": model, name: limit, **rest}, Params())
    config: dict[str, Any] = dict(fit(call, describe(model), Nothing()).request["generationConfig"])
    thinking = config.get("thinkingConfig", {})
    if thinks(thinking, traits(model)):
        budget = thinking.get("thinkingBudget", -1)
        assert config["maxOutputTokens"] >= limit + (budget if budget > 0 else 4096)
    else:
        assert config["maxOutputTokens"] == limit
