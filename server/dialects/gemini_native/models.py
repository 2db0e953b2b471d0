"""The model list in Gemini's own form (Gemini API reference, *Models*)."""

from collections.abc import Sequence

from server.dialects.base import Params
from server.dialects.fields import wrong
from server.gemini.models import Model
from server.gemini.types import Json

_OFFERED = frozenset({"generateContent", "countTokens", "embedContent", "batchEmbedContents"})
"""What this program passes on of what a model can do."""

_LARGEST_PAGE = 1000


def encode_model(model: Model) -> Json:
    """One ``Model``; an alias is one like any other, its description names who answers."""
    return {
        "name": f"models/{model.id}",
        "displayName": model.display_name or model.id,
        "description": model.description,
        "inputTokenLimit": model.input_limit_tokens,
        "outputTokenLimit": model.output_limit_tokens,
        "supportedGenerationMethods": [name for name in model.methods if name in _OFFERED],
    }


def encode_models(models: Sequence[Model], params: Params) -> Json:
    """One page; without ``pageSize`` all of them (Google: 50)."""
    start = _number(params, "pageToken") or 0
    size = _number(params, "pageSize") or len(models)
    end = start + min(size, _LARGEST_PAGE)
    page: Json = {"models": [encode_model(model) for model in models[start:end]]}
    if end < len(models):
        page["nextPageToken"] = str(end)
    return page


def _number(params: Params, name: str) -> int | None:
    text = params.query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise wrong(name, "Input should be a whole number, not negative")
    return int(text)
