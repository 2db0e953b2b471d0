"""JSON Schema -> what Gemini accepts (``parametersJsonSchema``, ``responseJsonSchema``).

``cleaner`` reads a client's schema (``reader``, ``references``), joins what holds together
(``conjunction``) and writes it in Google's words (``writer``, ``arguments``); ``simple`` and
``repair`` are for the request after a refusal. Rules: protocol notes ``openai.md`` section 5.
"""

from server.gemini.schema.cleaner import Cleaned, Cleaner, clean, clean_answer
from server.gemini.schema.hints import compact, with_hints
from server.gemini.schema.repair import Repair, plainer, repair, schemas
from server.gemini.schema.simple import simplify
from server.gemini.schema.words import FORMATS, KEYWORDS, MAX_DEPTH, MAX_DESCRIPTION_CHARS

__all__ = [
    "FORMATS",
    "KEYWORDS",
    "MAX_DEPTH",
    "MAX_DESCRIPTION_CHARS",
    "Cleaned",
    "Cleaner",
    "Repair",
    "clean",
    "clean_answer",
    "compact",
    "plainer",
    "repair",
    "schemas",
    "simplify",
    "with_hints",
]
