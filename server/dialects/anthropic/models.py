"""The model list in Anthropic's form (*List Models*, *Get a Model*; SDK 2.12 ``ModelInfo``)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from server.dialects.base import Params
from server.dialects.fields import wrong
from server.gemini.models import Model
from server.gemini.types import Json

_LARGEST_PAGE = 1000


def encode_models(models: Sequence[Model], params: Params) -> Json:
    """One page of the models that can answer messages.

    Without ``limit`` it is all of them (Anthropic: 20), because n8n reads one page only.
    """
    listed = [model for model in models if model.chats]
    limit = _limit(params) or len(listed)
    if cursor := params.query.get("before_id"):
        end = _position(listed, cursor, "before_id")
        return _page(listed[max(end - limit, 0) : end], has_more=end > limit)
    cursor = params.query.get("after_id")
    start = _position(listed, cursor, "after_id") + 1 if cursor else 0
    return _page(listed[start : start + limit], has_more=start + limit < len(listed))


def encode_model(model: Model) -> Json:
    """One ``ModelInfo``; every model listed is in service."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name or model.id,
        "description": model.description,
        "created_at": datetime.fromtimestamp(model.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": model.input_limit_tokens,
        "max_tokens": model.output_limit_tokens,
    }


def _page(models: Sequence[Model], *, has_more: bool) -> Json:
    """``has_more`` looks in the direction the client pages."""
    return {
        "data": [encode_model(model) for model in models],
        "has_more": has_more,
        "first_id": models[0].id if models else None,
        "last_id": models[-1].id if models else None,
    }


def _limit(params: Params) -> int | None:
    text = params.query.get("limit")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:5]) <= _LARGEST_PAGE:
        raise wrong("limit", f"Input should be an integer from 1 to {_LARGEST_PAGE}")
    return int(text)


def _position(models: Sequence[Model], cursor: str, param: str) -> int:
    for position, model in enumerate(models):
        if model.id == cursor:
            return position
    raise wrong(param, f"There is no model '{cursor}' in this list")
