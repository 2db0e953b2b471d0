"""OpenAI's ``POST /v1/embeddings`` (API reference, *Embeddings*)."""

import base64
import struct

from server.dialects.base import Params
from server.dialects.fields import Fields, wrong
from server.dialects.losses import ignored
from server.dialects.openai.losses import LOSSES
from server.gemini.types import EmbedCall, Embedding, Json
from server.limits import VECTOR_LENGTH, VECTORS


def parse_embeddings(body: Json, params: Params) -> EmbedCall:
    """``options`` of the result is the ``encoding_format``; the official SDKs ask for base64."""
    fields = Fields.of(body)
    model = fields.required_string("model")
    inputs = _inputs(fields.get("input"))
    encoding = fields.string("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise wrong("encoding_format", "Input should be 'float' or 'base64'")
    return EmbedCall(
        dialect="openai-chat",
        model=model,
        inputs=inputs,
        dimensions=fields.integer("dimensions", low=1, high=VECTOR_LENGTH),
        dropped=fields.unread(ignored(LOSSES, "/v1/embeddings")),
        options=encoding,
    )


def _inputs(value: object) -> tuple[str | tuple[int, ...], ...]:
    """A text, texts, token ids, or lists of token ids: each becomes one input."""
    if isinstance(value, list) and value and _is_token_ids(value):
        return (tuple(value),)
    items = value if isinstance(value, list) else [value]
    if not items:
        raise wrong("input", "Input cannot be an empty list")
    if len(items) > VECTORS:
        raise wrong("input", f"At most {VECTORS} inputs per request")
    return tuple(
        _input(item, f"input[{index}]" if items is value else "input")
        for index, item in enumerate(items)
    )


def _input(item: object, path: str) -> str | tuple[int, ...]:
    if isinstance(item, str) and item:
        return item
    if isinstance(item, list) and item and _is_token_ids(item):
        return tuple(item)
    raise wrong(path, "Input should be a non-empty string or a non-empty list of token ids")


def _is_token_ids(items: list[object]) -> bool:
    return all(type(item) is int for item in items)


def encode_embeddings(call: EmbedCall, embedding: Embedding) -> Json:
    """The vectors in the order of the inputs, as lists or as base64 of little-endian float32."""
    encode = _base64 if call.options == "base64" else list
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(embedding.vectors)
        ],
        "model": call.model,
        "usage": {
            "prompt_tokens": embedding.prompt_tokens,
            "total_tokens": embedding.prompt_tokens,
        },
    }


def _base64(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
