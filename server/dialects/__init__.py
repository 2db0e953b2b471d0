"""The registry of client APIs, in routing order; the last one words errors for everybody else."""

from server.dialects.anthropic import dialect as anthropic
from server.dialects.base import Dialect
from server.dialects.gemini_native import dialect as gemini_native
from server.dialects.openai import dialect as openai_chat
from server.dialects.responses import dialect as openai_responses

DIALECTS: tuple[Dialect, ...] = (
    gemini_native.DIALECT,
    anthropic.DIALECT,
    openai_responses.DIALECT,
    openai_chat.DIALECT,
)
