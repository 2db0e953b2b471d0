"""The registry of client APIs, in routing order; the last one words errors for everybody else."""

from server.dialects import anthropic, gemini_native, openai_chat, openai_responses
from server.dialects.base import Dialect

DIALECTS: tuple[Dialect, ...] = (
    gemini_native.DIALECT,
    anthropic.DIALECT,
    openai_responses.DIALECT,
    openai_chat.DIALECT,
)
