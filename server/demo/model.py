"""The model of the demo: to look at answers, never to work with.

Real agents do what a model tells them, so this one tells them nothing. It calls a function only
where the client forces a call (``functionCallingConfig`` ``ANY``), with arguments from the schema
alone, and repeats at most one plain line of what the user wrote (``harmless.py``).
"""

import json
import re

from server.demo import harmless, turns
from server.demo.answers import Answer, Asked, finished, seen
from server.demo.errors import Json
from server.demo.rules import declarations

LABEL = "[demo] "
"""Begins every text answer, so that none can be taken for the real model's."""
LOOKING = "The demo is for looking, not for agents: it calls no tool by itself."
REFUSED = "I call no tool here: no harmless arguments fit its parameters."

_PLAIN_TYPE = re.compile(r"\w+/[\w.+-]+")


def answer(asked: Asked) -> Answer:
    """The demo's answer: a forced call, JSON, or words."""
    last = asked.request["contents"][-1]
    said = harmless.plain_line(asked.user_text)
    forced = [] if turns.results(last) else _forced(asked)
    call = _harmless_call(forced)
    if call is not None:
        return finished(asked, said, [call])
    return finished(asked, said, _label(REFUSED) if forced else _text(asked, said))


def _forced(asked: Asked) -> list[Json]:
    """The functions of which the client wants one called, whatever the model thinks."""
    calling = asked.request.get("toolConfig", {}).get("functionCallingConfig", {})
    if calling.get("mode") != "ANY":
        return []
    allowed = calling.get("allowedFunctionNames")
    return [d for d in declarations(asked.request) if not allowed or d["name"] in allowed]


def _harmless_call(functions: list[Json]) -> Json | None:
    """A call of the first function whose arguments can be harmless."""
    for function in functions:
        schema: Json = function.get("parametersJsonSchema") or function.get("parameters") or {}
        try:
            args = harmless.arguments(schema)
        except harmless.NoHarmlessValueError:
            continue
        return {"functionCall": {"name": function["name"], "args": args}}
    return None


def _text(asked: Asked, said: str) -> str:
    mime = asked.config.get("responseMimeType", "text/plain")
    schema = asked.config.get("responseJsonSchema", asked.config.get("responseSchema"))
    if mime in ("application/json", "text/x.enum"):
        return _structured(mime, schema, said)
    last = asked.request["contents"][-1]
    if results := turns.results(last):
        return _label(f"The tool answered: {_heard(results) or '…'}")
    images = [seen(part["inlineData"]) for part in last["parts"] if _is_shown(part)]
    looking = [LOOKING] if declarations(asked.request) else []
    return _label(" ".join([f"You said: {said or '…'}", *images, *looking]))


def _structured(mime: str, schema: object, said: str) -> str:
    if schema is None:
        return json.dumps({"echo": said}, ensure_ascii=False)
    try:
        made = harmless.instance(schema)
    except harmless.NoHarmlessValueError:
        return _label("No answer fits this schema.")
    return str(made) if mime == "text/x.enum" else json.dumps(made, ensure_ascii=False)


def _heard(results: list[Json]) -> str:
    """The first plain line of what functions gave back."""
    texts = (value for result in results for value in result["response"].values())
    lines = (harmless.plain_line(text) for text in texts if isinstance(text, str))
    return next((line for line in lines if line), "")


def _is_shown(part: Json) -> bool:
    return bool(_PLAIN_TYPE.fullmatch(part.get("inlineData", {}).get("mimeType", "")))


def _label(text: str) -> str:
    return LABEL + text
