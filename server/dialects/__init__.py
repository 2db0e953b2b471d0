"""The registry of client APIs, in routing order; the last one words errors for everybody else."""

from server.dialects import anthropic, openai_chat
from server.dialects.base import Dialect

DIALECTS: tuple[Dialect, ...] = (anthropic.DIALECT, openai_chat.DIALECT)
