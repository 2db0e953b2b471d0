"""OpenAI's model list (API reference, *Models*), with the extra fields that clients look for."""

from collections.abc import Sequence

from server.dialects.base import Params
from server.gemini.models import Model
from server.gemini.types import Json


def encode_model(model: Model) -> Json:
    """One model. Beyond OpenAI's four fields: limits, a name, what an alias stands for and why."""
    body: Json = {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": "google",
        "display_name": model.display_name or model.id,
        "context_length": model.input_limit_tokens,
        "context_window": model.input_limit_tokens,
        "max_output_tokens": model.output_limit_tokens,
    }
    if model.alias_of is not None:
        body["alias_of"] = model.alias_of
        body["description"] = model.description
    return body


def encode_models(models: Sequence[Model], params: Params) -> Json:
    """The models that chat or embed, on one page: a client takes whatever stands here for one."""
    listed = [model for model in models if model.chats or model.embeds]
    return {"object": "list", "data": [encode_model(model) for model in listed]}
