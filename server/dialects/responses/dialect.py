"""OpenAI's ``/v1/responses``: asking, counting, and what is kept of the answers.

Read on: parse -> what is kept -> ``DIALECT``. Sources: OpenAI API reference, *Responses*;
openai-python 3.54 ``types/responses``; protocol notes ``openai.md`` section 9.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from server.dialects.base import (
    CountTokens,
    Dialect,
    Forget,
    Generate,
    Params,
    Recall,
    Record,
    Route,
)
from server.dialects.fields import Fields, wrong
from server.dialects.losses import ignored
from server.dialects.openai.errors import encode_error
from server.dialects.openai.generation import read_format, read_limit, read_sampling, read_thinking
from server.dialects.responses.items import item_type, read_items, stored_item, tools_in
from server.dialects.responses.losses import LOSSES
from server.dialects.responses.stream import Notes, ResponseStream, encode_response, notes_of
from server.dialects.responses.tools import read_tool_box, read_tool_choice, repeated_tools
from server.errors import ContextLengthError, ProxyError, RateLimitError
from server.gemini.types import Call, Count, Json

_IGNORED = ignored(LOSSES)

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SUMMARIES = ("auto", "concise", "detailed")
_VERBOSITIES = ("low", "medium", "high")
_MOST_LISTED = 100


def parse_response(body: Json, params: Params) -> Call:
    """A ``Call``; raises ``BadRequestError`` naming the field."""
    fields = Fields.of(body)
    _refuse_unsupported(fields)
    call = Call(
        dialect="openai-responses",
        model=fields.required_string("model"),
        request={},
        stream=fields.boolean("stream"),
        session=fields.string("prompt_cache_key") or params.headers.get("session-id"),
    )
    call.parallel_tool_calls = _yes(fields, "parallel_tool_calls")
    config = read_sampling(fields, call)
    if call.choices > 1:
        call.choices, call.dropped = 1, (*call.dropped, "n")
    limit = read_limit(fields, "max_output_tokens")
    if limit is not None:
        config["maxOutputTokens"] = limit
    call.thinking = read_thinking(fields, None, limit)
    reasoning, text = fields.object("reasoning"), fields.object("text")
    if reasoning is not None and reasoning.get("summary") == "none":
        call.thinking = replace(call.thinking, include=False)
    read_format(text.object("format") if text else None, config)
    items = list(_items(fields, params))
    box = read_tool_box(chain(fields.objects("tools"), tools_in(items)), call.tool_names)
    choice = read_tool_choice(fields, box, call.tool_names)
    box.tools.put_into(call)
    read_items(items, box, call)
    _read_instructions(fields, call)
    if not config:
        del call.request["generationConfig"]
    call.options = Notes(
        repeated=_repeated(fields, choice),
        called=box.called,
        input=[item.raw for item in items],
        store=_yes(fields, "store"),
        encrypted="reasoning.encrypted_content" in (fields.array("include") or ()),
        codex=params.headers.get("user-agent", "").lower().startswith("codex"),
    )
    call.dropped += fields.unread(_IGNORED)
    return call


def _refuse_unsupported(fields: Fields) -> None:
    for name in ("conversation", "prompt", "background"):
        if fields.get(name) not in (None, False):
            problem = "This is not offered here; send the whole input, and wait for the answer"
            raise wrong(name, problem, code="unsupported_parameter")


def _yes(fields: Fields, name: str) -> bool:
    """A boolean that is true unless it is said to be false."""
    fields.boolean(name)
    return fields.raw.get(name) is not False


def _read_instructions(fields: Fields, call: Call) -> None:
    """``instructions`` stand before every other system text; a request inherits none."""
    instructions = fields.string("instructions")
    if instructions:
        system = call.request.setdefault("systemInstruction", {"role": "user", "parts": []})
        system["parts"].insert(0, {"text": instructions})


def _items(fields: Fields, params: Params) -> Iterator[Fields]:
    """All input items: those of the response that is gone on from, then the request's own."""
    previous = fields.string("previous_response_id")
    value = fields.get("input")
    if previous:
        record = params.recall(previous)
        if record is None or record["response"]["id"] != previous:
            raise wrong(
                "previous_response_id",
                f"Previous response with id '{previous}' not found",
                code="previous_response_not_found",
            )
        for item in (*record["input"], *record["response"]["output"]):
            yield Fields.of(item, "previous_response_id")  # no part of this request
    elif value is None or value == []:
        raise wrong("input", "Field required", code="missing_required_parameter")
    if isinstance(value, str):
        yield Fields.of({"type": "message", "role": "user", "content": value}, "input")
    else:
        for item in fields.objects("input"):
            yield _resolved(item, params)


def _resolved(item: Fields, params: Params) -> Fields:
    """The kept item that an ``item_reference`` names; every other item as it is."""
    if item_type(item.raw) != "item_reference":
        return item
    name = item.required_string("id")
    record = params.recall(name) or {"input": (), "response": {"output": ()}}
    for kept in (*record["response"]["output"], *record["input"]):
        if kept.get("id") == name:
            return Fields.of(kept, item.path)
    raise wrong(item.at("id"), f"Item with id '{name}' not found", code="invalid_value")


def _repeated(fields: Fields, choice: object) -> Json:
    """What the response object repeats of its request, in values that strict SDKs know."""
    metadata, reasoning = fields.whole("metadata"), fields.object("reasoning")
    truncation = fields.string("truncation")
    return {
        "instructions": fields.string("instructions"),
        "max_output_tokens": fields.integer("max_output_tokens"),
        "metadata": {k: v for k, v in metadata.items() if isinstance(v, str)} if metadata else {},
        "previous_response_id": fields.string("previous_response_id"),
        "prompt_cache_key": fields.string("prompt_cache_key"),
        "reasoning": {
            "effort": _known(reasoning, "effort", _EFFORTS),
            "summary": _known(reasoning, "summary", _SUMMARIES),
        },
        "store": _yes(fields, "store"),
        "temperature": fields.number("temperature"),
        "text": _repeated_text(fields.object("text")),
        "tool_choice": choice,
        "tools": repeated_tools(fields.objects("tools")),
        "top_p": fields.number("top_p"),
        "truncation": "auto" if truncation == "auto" else "disabled",
    }


def _repeated_text(text: Fields | None) -> Json:
    form = text.object("format") if text else None
    repeated: Json = {"format": {"type": "text"}}
    if form is not None and form.raw.get("type") == "json_object":
        repeated["format"] = {"type": "json_object"}
    elif form is not None and form.raw.get("type") == "json_schema":
        inner = form.object("json_schema") or form
        schema = inner.whole("schema")
        repeated["format"] = {
            "type": "json_schema",
            "name": inner.string("name") or "answer",
            "description": inner.string("description"),
            "schema": schema or {},
            "strict": inner.raw.get("strict") is True,
        }
    return repeated | {"verbosity": _known(text, "verbosity", _VERBOSITIES) or "medium"}


def _known(part: Fields | None, name: str, words: tuple[str, ...]) -> str | None:
    value = part.raw.get(name) if part else None
    return value if isinstance(value, str) and value in words else None


def told_in_stream(call: Call, error: ProxyError) -> bool:
    """Codex repeats a 429 six times, but stops at a ``response.failed`` that names the reason.

    For used-up quotas and context length only (contract section 6): a status says more elsewhere.
    """
    exhausted = isinstance(error, RateLimitError) and error.exhausted
    return notes_of(call).codex and (exhausted or isinstance(error, ContextLengthError))


# What is kept


def keep_response(call: Call) -> Record | None:
    """The answer and everything said before it, unless the client declined (``store``)."""
    notes = notes_of(call)
    if not notes.store or notes.answer is None:
        return None
    items = [stored_item(item) for item in notes.input if isinstance(item_type(item), str)]
    ids = (item.get("id") for item in (*items, *notes.answer["output"]))
    return Record(
        notes.answer["id"],
        {"response": notes.answer, "input": items},
        tuple(name for name in ids if isinstance(name, str)),
    )


def encode_kept(record: Json, params: Params) -> Json:
    """A kept response object, as it was answered."""
    if params.query.get("stream") == "true":
        raise wrong("stream", "Kept answers are not streamed", code="unsupported_parameter")
    response: Json = record["response"]
    return response


def encode_input_items(record: Json, params: Params) -> Json:
    """One page of the items a kept response was made from; the newest first, unless asked."""
    limit = params.query.get("limit", "20")
    if not limit.isdecimal() or not 1 <= int(limit[:9]) <= _MOST_LISTED:
        raise wrong("limit", f"Input should be a number from 1 to {_MOST_LISTED}")
    items: list[Json] = record["input"]
    if params.query.get("order", "desc") != "asc":
        items = items[::-1]
    after = params.query.get("after")
    if after is not None:
        start = next((i for i, item in enumerate(items) if item["id"] == after), None)
        if start is None:
            raise wrong("after", f"No item with the id '{after}'", code="invalid_value")
        items = items[start + 1 :]
    page = items[: int(limit[:9])]
    first, last = (str(page[0]["id"]), str(page[-1]["id"])) if page else ("", "")
    more = len(items) > len(page)
    return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": more}


def encode_deleted(name: str) -> Json:
    return {"id": name, "object": "response", "deleted": True}


def encode_count(count: Count) -> Json:
    return {"object": "response.input_tokens", "input_tokens": count.tokens}


DIALECT = Dialect(
    name="openai-responses",
    routes=(
        Route(
            "POST",
            "/v1/responses",
            Generate(
                parse_response, encode_response, ResponseStream, keep_response, told_in_stream
            ),
        ),
        Route("POST", "/v1/responses/input_tokens", CountTokens(parse_response, encode_count)),
        Route("GET", "/v1/responses/{id}/input_items", Recall(encode_input_items)),
        Route("GET", "/v1/responses/{id}", Recall(encode_kept)),
        Route("DELETE", "/v1/responses/{id}", Forget(encode_deleted)),
    ),
    losses=LOSSES,
    encode_error=encode_error,
    # Its clients are those of chat, which words what belongs to neither.
)
