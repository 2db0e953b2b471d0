"""Built-in tools beside functions: what Google ran itself stands in the answer as parts.

Facts: dossier ``google-2026-11.md``, section 3 (Gemini API, Gemini 3 and later).
"""

from dataclasses import replace

from server.demo import turns
from server.demo.answers import SEARCH_TOKENS, AnswerT, Asked
from server.demo.errors import Json
from server.demo.rules import built_in, declarations

TOOL_TYPES = {
    "googleSearch": "GOOGLE_SEARCH_WEB",
    "urlContext": "URL_CONTEXT",
    "googleMaps": "GOOGLE_MAPS",
}


def invoked(answer: AnswerT, asked: Asked) -> AnswerT:
    """``answer`` with a call and a response of every built-in tool, after its first thoughts.

    Only where functions are declared too (then the request carries the flag), and once a turn.
    """
    used = [TOOL_TYPES[name] for name in built_in(asked.request) if name in TOOL_TYPES]
    again = turns.results(asked.request["contents"][-1])
    if not used or not declarations(asked.request) or again:
        return answer
    parts = [part for n, kind in enumerate(used, 1) for part in _pair(kind, n, asked)]
    start = next((i for i, part in enumerate(answer.parts) if not part.get("thought")), 0)
    return replace(
        answer,
        parts=[*answer.parts[:start], *parts, *answer.parts[start:]],
        tool_use_tokens=SEARCH_TOKENS * len(used),
    )


def _pair(kind: str, number: int, asked: Asked) -> list[Json]:
    call: Json = {"id": f"st-{asked.serial}-{number}", "toolType": kind}
    args = {"urls": []} if kind == "URL_CONTEXT" else {"queries": [asked.user_text[:80]]}
    found = {"search_suggestions": "<div>…</div>"}

    def sign(what: str) -> str:
        return asked.signer.issue(asked.model.id, f"{asked.model.id}/{call['id']}/{what}")

    return [
        {"toolCall": {**call, "args": args}, "thoughtSignature": sign("call")},
        {"toolResponse": {**call, "response": found}, "thoughtSignature": sign("response")},
    ]
