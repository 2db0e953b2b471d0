"""Inputs that grow, for everything that reads what is foreign: twice the input may cost at most two
and a half times the instructions.

Each case names a way to make an input of a size, and what reads it. Counted are the interpreter's
steps, on every machine, or with valgrind the processor's own instructions: neither depends on how
busy the machine is. ``python -m tests.growth`` is what valgrind runs.
"""

import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from server.core.pipeline import outgoing
from server.core.request_record import client_name
from server.dialects import DIALECTS
from server.dialects.base import CountTokens, Embed, Generate, Params
from server.edge.body import parse_json
from server.edge.head_checks import check_head, headers_of
from server.edge.routes import canonical, match
from server.errors import ProxyError
from server.gemini.events import EventReader, TextDelta
from server.gemini.fit import fit
from server.gemini.models import Aliases, describe, living_models
from server.gemini.names import ToolNames
from server.gemini.signatures import StoredSignature
from server.gemini.stop import StopMatcher
from server.gemini.types import Call
from server.json_codec import dumps
from server.logs import redact
from server.sse import SSEReader
from server.upstreams.google_errors import error_from_response
from server.upstreams.refusals import read_refusal

Json = dict[str, Any]
Case = tuple[Callable[[int], Any], Callable[[Any], object]]
"""(size -> input, what reads it)."""

MODEL = "gemini-2.5-pro"
SMALL = 150
"""Members of the smaller input, where steps of Python are counted."""
FEW = 50
"""The same where instructions are, which is slow; of texts it is hundreds of characters."""


class Signatures:
    """Knows no call."""

    def call(self, tool_call_id: str) -> StoredSignature | None:
        return None

    def text(self, digest: str) -> StoredSignature | None:
        return None


PARSERS: dict[str, Callable[[Json, Params], object]] = {
    route.path: route.operation.parse
    for dialect in DIALECTS
    for route in dialect.routes
    if isinstance(route.operation, Generate | CountTokens | Embed)
}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
NATIVE = "/v1beta/models/{id}:generateContent"


def understood(path: str) -> Callable[[Json], object]:
    """What happens to a body until it is sent; a refusal is an answer as well."""

    def run(body: Json) -> object:
        with suppress(ProxyError):
            call = PARSERS[path](body, Params(path={"id": MODEL}))
            if isinstance(call, Call):
                model = describe(MODEL)
                request = fit(call, model, Signatures()).request
                return dumps(outgoing(call, model, request).request)
        return None

    return run


# ── bodies of every dialect: what there may be many of ──


def chat(messages: list[Json], **more: object) -> Json:
    return {"model": MODEL, "max_tokens": 99, "messages": messages, **more}


def said(role: str, content: object) -> Json:
    return {"role": role, "content": content}


def call_of(name: str, number: object) -> Json:
    return {"id": f"{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}


def chat_calls(n: int, *, same: bool = False, answered: bool = True, known: bool = True) -> Json:
    """``n`` calls in one turn, and their results."""
    calls = [call_of("f", "x" if same else i) for i in range(n)]
    ids = [call["id"] if known else f"u{i}" for i, call in enumerate(calls)]
    results = [{"role": "tool", "tool_call_id": i, "content": "r"} for i in ids]
    turn = {"role": "assistant", "tool_calls": calls}
    return chat([said("user", "a"), turn, *(results if answered else [])])


def chat_rounds(n: int, *, known: bool = True) -> Json:
    """``n`` turns with one call each."""
    rounds: list[Json] = []
    for i in range(n):
        rounds.append({"role": "assistant", "tool_calls": [call_of("f", i)]})
        rounds.append({"role": "tool", "tool_call_id": f"{i if known else -1}", "content": "r"})
    return chat([said("user", "a"), *rounds])


def blocks(n: int, *, same: bool = False, known: bool = True) -> Json:
    uses = [
        {"type": "tool_use", "id": "x" if same else f"{i}", "name": "f", "input": {}}
        for i in range(n)
    ]
    results = [
        {"type": "tool_result", "tool_use_id": use["id"] if known else f"u{i}", "content": "r"}
        for i, use in enumerate(uses)
    ]
    return chat([said("user", "a"), said("assistant", uses), said("user", results)])


def items(n: int, *, same: bool = False, known: bool = True) -> Json:
    calls = [
        {
            "type": "function_call",
            "call_id": "x" if same else f"{i}",
            "name": "f",
            "arguments": "{}",
        }
        for i in range(n)
    ]
    results = [
        {
            "type": "function_call_output",
            "call_id": c["call_id"] if known else f"u{i}",
            "output": "r",
        }
        for i, c in enumerate(calls)
    ]
    return {"model": MODEL, "input": [said("user", "a"), *calls, *results]}


def native(parts: list[Json], **more: object) -> Json:
    return {"contents": [{"role": "user", "parts": parts}], **more}


def schemas(n: int) -> dict[str, Json]:
    """Schemas by what there is much of."""
    texts = [f"v{i}" for i in range(n)]
    objects = [{"type": "object", "properties": {t: {"type": "string"}}} for t in texts]
    numbers = [{"type": "integer", "minimum": i} for i in range(n)]
    one = {"type": "object", "properties": {"a": {"type": "string"}}}
    deep: Json = one
    for _ in range(10):
        deep = {"type": "object", "properties": {"a": deep}}
    return {
        "properties": {"type": "object", "properties": {t: {"type": "string"} for t in texts}},
        "required": {**one, "required": texts},
        "enum": {"type": "object", "properties": {"a": {"type": "string", "enum": texts}}},
        "enum of one": {"type": "object", "properties": {"a": {"enum": ["x"] * n}}},
        "any of": {"type": "object", "properties": {"a": {"anyOf": objects}}},
        "any of numbers": {"type": "object", "properties": {"a": {"anyOf": numbers}}},
        "one of": {"type": "object", "properties": {"a": {"oneOf": objects}}},
        "all of": {"type": "object", "properties": {"a": {"allOf": objects}}},
        "all of at the top": {"allOf": objects},
        "any of at the top": {"anyOf": objects},
        "all of one": {"type": "object", "properties": {"a": {"allOf": [one] * n}}},
        "types": {"type": "object", "properties": {"a": {"type": ["string", "null"] * n}}},
        "references": {
            "type": "object",
            "properties": {t: {"$ref": "#/$defs/d"} for t in texts},
            "$defs": {"d": one},
        },
        "a chain": {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/d0"}},
            "$defs": {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(n)} | {f"d{n}": one},
        },
        "patterns": {"type": "object", "patternProperties": dict.fromkeys(texts, one)},
        "items": {"type": "object", "properties": {"a": {"type": "array", "items": objects}}},
        "depth": {"type": "object", "properties": {f"p{i}": deep for i in range(n // 10)}},
    }


def with_schema(name: str) -> Callable[[int], Json]:
    """A chat request with this schema in a tool and in the answer's format."""

    def body(n: int) -> Json:
        schema = schemas(n)[name]
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
        return chat([said("user", "a")], tools=[tool], response_format=form)

    return body


def tools(n: int) -> list[Json]:
    """Functions of different names; of some of them Gemini takes only the beginning."""
    names = [f"{'t' * 70}{i}" if i % 2 else f"t.{i}" for i in range(n)]
    one = {"type": "object", "properties": {"a": {"type": "string"}}}
    return [{"type": "function", "function": {"name": t, "parameters": one}} for t in names]


def bodies() -> Iterator[tuple[str, Case]]:
    """Whole requests."""
    user = said("user", "a")
    text = {"type": "text", "text": "a"}
    ways: dict[str, tuple[str, Callable[[int], Json]]] = {
        "chat turns": (CHAT, lambda n: chat([user, said("assistant", "b")] * n)),
        "chat same role": (CHAT, lambda n: chat([user] * n)),
        "chat system": (CHAT, lambda n: chat([said("system", "s")] * n + [user])),
        "chat parts": (CHAT, lambda n: chat([said("user", [text] * n)])),
        "chat calls": (CHAT, chat_calls),
        "chat calls of one id": (CHAT, lambda n: chat_calls(n, same=True)),
        "chat calls unanswered": (CHAT, lambda n: chat_calls(n, answered=False)),
        "chat unknown results": (CHAT, lambda n: chat_calls(n, known=False)),
        "chat rounds": (CHAT, chat_rounds),
        "chat rounds of unknown ids": (CHAT, lambda n: chat_rounds(n, known=False)),
        "chat tools": (CHAT, lambda n: chat([user], tools=tools(n))),
        "chat same tool": (CHAT, lambda n: chat([user], tools=tools(1) * n)),
        "chat fields": (CHAT, lambda n: chat([user], **{f"f{i}": 1 for i in range(n)})),
        "chat stops": (CHAT, lambda n: chat([user], stop=["x"] * n)),
        "chat long text": (CHAT, lambda n: chat([said("user", "word " * 20 * n)])),
        "chat long arguments": (
            CHAT,
            lambda n: chat([user, {**said("assistant", None), "tool_calls": [
                {**call_of("f", 1), "function": {"name": "f", "arguments": '{"a":"' + "b" * n}}
            ]}]),
        ),
        "messages turns": (MESSAGES, lambda n: chat([user, said("assistant", "b")] * n)),
        "messages blocks": (MESSAGES, lambda n: chat([said("user", [text] * n)])),
        "messages system": (MESSAGES, lambda n: chat([user], system=[text] * n)),
        "messages calls": (MESSAGES, blocks),
        "messages calls of one id": (MESSAGES, lambda n: blocks(n, same=True)),
        "messages unknown results": (MESSAGES, lambda n: blocks(n, known=False)),
        "messages tools": (
            MESSAGES,
            lambda n: chat([user], tools=[{"name": f"t{i}", "input_schema": {}} for i in range(n)]),
        ),
        "messages stops": (MESSAGES, lambda n: chat([user], stop_sequences=["x"] * n)),
        "responses items": (RESPONSES, lambda n: {"model": MODEL, "input": [user] * n}),
        "responses calls": (RESPONSES, items),
        "responses calls of one id": (RESPONSES, lambda n: items(n, same=True)),
        "responses unknown results": (RESPONSES, lambda n: items(n, known=False)),
        "responses tools": (
            RESPONSES,
            lambda n: {"model": MODEL, "input": "a", "tools": [
                {"type": "function", **tool["function"]} for tool in tools(n)
            ]},
        ),
        "native parts": (NATIVE, lambda n: native([{"text": "a"}] * n)),
        "native fields": (NATIVE, lambda n: native([], **{f"f{i}": 1 for i in range(n)})),
        "embeddings": ("/v1/embeddings", lambda n: {"model": "m", "input": ["a"] * n}),
        "embedded token ids": ("/v1/embeddings", lambda n: {"model": "m", "input": [[1] * n] * 9}),
    }  # fmt: skip
    for name, (path, make) in ways.items():
        yield name, (make, understood(path))
    for name in schemas(1):
        yield f"schema: {name}", (with_schema(name), understood(CHAT))


# ── texts, bytes and events ──


def fed(pieces: list[bytes]) -> object:
    reader = SSEReader()
    return [reader.feed(piece) for piece in pieces] + [reader.close()]


def pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def stopped(sequences: list[str], text: str) -> object:
    matcher = StopMatcher(tuple(sequences))
    return [matcher.feed([TextDelta(text[i : i + 20])]) for i in range(0, len(text), 20)]


def read_answer(chunks: list[Any]) -> object:
    reader = EventReader(ToolNames(), "call_", MODEL, 0)
    return [reader.read([chunk]) for chunk in chunks] + [reader.finish()]


def chunk(*parts: Json) -> Json:
    return {"candidates": [{"content": {"parts": list(parts)}}]}


def streamed(dialect: str) -> Callable[[list[Any]], object]:
    """Events of an answer, as this dialect's stream."""
    found = next(d for d in DIALECTS if any(r.path == dialect for r in d.routes))
    operation = next(r.operation for r in found.routes if r.path == dialect)
    assert isinstance(operation, Generate)
    body = (
        native([{"text": "a"}])
        if "{id}" in dialect
        else {**chat([said("user", "a")]), "input": "a"}
    )

    def run(chunks: list[Any]) -> object:
        call = operation.parse(body, Params(path={"id": MODEL}))
        encoder, reader = operation.encoder(call), EventReader(ToolNames(), "call_", MODEL, 0)
        events = [e for one in chunks for e in reader.read([one])] + reader.finish()
        frames = [encoder.feed(event) for event in events] + [encoder.finish()]
        return frames, operation.encode(call, events)

    return run


def refused(body: bytes) -> object:
    read_refusal(502, {}, body)
    return error_from_response(429, {}, body)


def resolved(name: str) -> object:
    with suppress(ProxyError):
        return Aliases().resolve(name, living_models("paid"))
    return None


def headed(headers: list[tuple[bytes, bytes]]) -> object:
    scope = {"http_version": "1.1", "raw_path": b"/", "query_string": b"", "headers": headers}
    with suppress(ProxyError):
        check_head(scope)
    return headers_of(scope)


def json_of(data: bytes) -> object:
    with suppress(ProxyError):
        return parse_json(data)
    return None


def long(piece: str, times: int, around: Callable[[str], Any] = lambda text: text) -> Any:
    """size -> ``piece`` so many times that often, in what is ``around`` it."""
    return lambda n: around(piece * times * n)


def many(one: object, times: int = 1) -> Callable[[int], list[Any]]:
    return lambda n: [one] * times * n


def in_error(text: str) -> bytes:
    return json.dumps({"error": {"message": text}}).encode()


HTML = ("<script", "<title", "<", "<script></script>", "<p>a</p>", "<p> ", "</script")
REFUSALS = ("please retry in 1", "in 1h", "1", "after 9m", "{", '{"error":', ", ,", "a ")
NAMES = ("models/", "google/", "gemini-", "gpt-4", "-latest", "[1m]", "claude-", "a/", " ", "-high")
PATHS = ("/v1", "/v1beta", "/", "/v1/v1", "%2F", ":", "/models")
SECRETS = ("key=", "Bearer ", "sk-", "AIza", "token: a", "%41", "ya29.", "-")
JSON = ("[", "[]", "{}", '"', "\\", "1", "1e9", "9" * 20, '"\\ud800"', "-", "\t", "a")
EVENTS = {
    "events": 'data: {"a": "b"}\n\n',
    "lines": "data: a\n",
    "comments": ": a\n\n",
    "returns": "data: a\r\n\r\n",
    "one event": "data: a",
    "mixed ends": "data: a\r\n\ndata: b\n\r",
    "blanks": "\n",
}
CALL = {"functionCall": {"name": "f", "args": {}}}
PARTS: dict[str, Json] = {
    "texts": {"text": "a"},
    "calls": CALL,
    "thoughts": {"text": "a", "thought": True},
}


def words() -> Iterator[tuple[str, Case]]:
    """What is read letter by letter."""
    for piece in HTML:
        yield f"page: {piece}", (long(piece, 5, lambda text: f"<html>{text}".encode()), refused)
    for piece in REFUSALS:
        yield f"refusal: {piece}", (long(piece, 5, str.encode), refused)
        yield f"refusal in JSON: {piece}", (long(piece, 5, in_error), refused)
    for piece in NAMES:
        yield f"model's name: {piece}", (long(piece, 100), resolved)
    for piece in PATHS:
        yield f"path: {piece}", (long(piece, 40), routed)
    for piece in ("a/1 ", "(", "/", "1/"):
        yield f"user agent: {piece}", (long(piece, 40, agent), client_name)
    for piece in SECRETS:
        yield f"redacted: {piece}", (long(piece, 10), redact)
    for piece in JSON:
        yield f"JSON of: {piece}", (long(f"{piece},", 20, in_list), json_of)
        yield f"JSON cut: {piece}", (long(piece, 20, str.encode), json_of)


def routed(path: str) -> object:
    return match("/v1beta/models/{id}:countTokens", canonical(path))


def agent(text: str) -> dict[str, str]:
    return {"user-agent": text}


def in_list(text: str) -> bytes:
    return f'{{"a":[{text[:-1]}]}}'.encode()


def cut_in(size: int) -> Callable[[str], list[bytes]]:
    return lambda text: pieces_of(text.encode(), size)


def streams() -> Iterator[tuple[str, Case]]:
    """What comes in pieces, and heads."""
    for name, text in EVENTS.items():
        for size in (7, 1000):
            yield f"events: {name} by {size}", (long(text, 8, cut_in(size)), fed)
    yield "stop: text", (long("ab", 100), lambda text: stopped(["abc", "b" * 50], text))
    yield "stop: beginnings", (long("a", 50), lambda text: stopped(["a" * 500 + "b"], text))
    yield "answer in chunks", (many(chunk({"text": "a"}), 4), read_answer)
    yield "answer in parts", (lambda n: [chunk(*[{"text": "a"}] * 4 * n)], read_answer)
    yield "answer of calls", (many(chunk(CALL), 4), read_answer)
    for path in (CHAT, MESSAGES, RESPONSES):
        for name, part in PARTS.items():
            yield f"stream {path} {name}", (many(chunk(part)), streamed(path))
    yield "same header", (many((b"x-api-key", b"v"), 4), headed)
    yield "headers", (lambda n: [(b"x-%d" % i, b"v") for i in range(4 * n)], headed)
    yield "JSON fields", (lambda n: dumps({f"k{i}": i for i in range(n)}), json_of)
    yield "JSON written", (lambda n: {"a": [None, 1.5, {"b": "c"}] * n}, dumps)
    yield "refusal: details", (lambda n: dumps(many_details(n)), refused)


def many_details(n: int) -> Json:
    detail = {"@type": "x.QuotaFailure", "violations": [{"quotaId": "a"}]}
    return {"error": {"code": 429, "details": [detail] * n}}


CASES: dict[str, Case] = dict([*bodies(), *words(), *streams()])


# ── counting ──


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that run: the interpreter's own measure, the same on every machine."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def counted(case: Case, small: int) -> tuple[int, int]:
    """Steps for an input and for twice as much."""
    make, run = case
    run(make(3))  # what is imported, compiled or remembered with the first use
    once, twice = make(small), make(2 * small)
    return steps(lambda: run(once)), steps(lambda: run(twice))


def grown(counts: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Those whose cost grows faster than their input."""
    return {name: (once, twice) for name, (once, twice) in counts.items() if twice > 2.5 * once}


MARK = "getpgid"
"""Never called by anything else here; valgrind writes down its counters before each call."""


def main() -> None:
    """Run every case twice between marks, for valgrind."""
    gc.disable()
    for make, run in CASES.values():
        run(make(3))
        for size in (FEW, 2 * FEW):
            given = make(size)
            os.getpgid(0)
            run(given)
            os.getpgid(0)


def instructions(folder: Path) -> dict[str, tuple[int, int]]:
    """Instructions of every case, for both sizes, counted by valgrind."""
    command = ["valgrind", "--tool=callgrind", f"--dump-before={MARK}"]
    command += [f"--callgrind-out-file={folder / 'out'}", sys.executable, "-m", "tests.growth"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    root = Path(__file__).parents[1]
    subprocess.run(command, check=True, capture_output=True, cwd=root, env=environment)
    totals: dict[int, int] = {}
    for path in folder.glob("out.*"):
        number = int(path.suffix[1:])
        found = re.search(r"^totals: (\d+)", path.read_text("utf-8"), re.MULTILINE)
        totals[number] = int(found[1]) if found else 0
    measured = [totals[number] for number in sorted(totals)][1::2]  # between, before, between ...
    return {name: (measured[2 * i], measured[2 * i + 1]) for i, name in enumerate(CASES)}


if __name__ == "__main__":
    main()
