"""Mock embeddings: stand-ins for upstreams that have none, the same on every machine.

They are expanded from a hash, so equal texts are equal and all others unrelated; whoever shows them
says that they are mock (contract section 4, *Embeddings*).
"""

import hashlib
import math
import struct
from collections.abc import Sequence

from server.aside import off_loop
from server.gemini.types import EmbedCall, Embedding
from server.limits import VECTORS_AT_ONCE

_PER_DIGEST = 8
"""32-bit numbers in one SHA-256 digest."""


def default_dimensions(model: str) -> int:
    """How long vectors of ``model`` are when the caller does not say."""
    return 3072 if "large" in model or "gemini" in model else 1536


async def mock_embedding(call: EmbedCall, model: str) -> Embedding:
    """Mock vectors for the texts of ``call``, as long as ``model`` makes them."""
    dimensions = call.dimensions or default_dimensions(model)
    return await off_loop(
        lambda: mock_vectors(call.inputs, dimensions), when=len(call.inputs) > VECTORS_AT_ONCE
    )


def mock_vectors(inputs: Sequence[str | tuple[int, ...]], dimensions: int) -> Embedding:
    """One unit vector for every text or tuple of token ids.

    ``prompt_tokens`` is exact for token ids and an estimate (characters / 4) for texts.
    """
    tokens = sum(len(item) if isinstance(item, tuple) else -(-len(item) // 4) for item in inputs)
    estimated = any(isinstance(item, str) for item in inputs)
    vectors = tuple(_vector(_seed(item), dimensions) for item in inputs)
    return Embedding(vectors, tokens, estimated=estimated, mock=True)


def _seed(item: str | tuple[int, ...]) -> bytes:
    if isinstance(item, str):
        return b"text:" + item.encode("utf-8", "surrogatepass")
    return b"tok:" + ",".join(map(str, item)).encode()


def _vector(seed: bytes, dimensions: int) -> tuple[float, ...]:
    """SHA-256 in counter mode, read as signed 32-bit numbers, scaled to length 1."""
    base = hashlib.sha256(seed)
    noise = bytearray()
    for counter in range(-(-dimensions // _PER_DIGEST)):
        block = base.copy()
        block.update(counter.to_bytes(4, "big"))
        noise += block.digest()
    numbers = struct.unpack(f">{dimensions}i", noise[: 4 * dimensions])
    length = math.sqrt(sum(number * number for number in numbers))
    return tuple(number / length for number in numbers)
