"""What the load sends: the same conversation in every dialect.

The model's name tells the perf upstream what to answer: ``gemini-perf-e100-i20`` is 100 events, one
every 20 ms.
"""

import json
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

_SENTENCE = "The quick brown fox jumps over the lazy dog while the proxy forwards bytes. "
SMALL_CHARS, AGENT_CHARS = 2_800, 150_000
TURNS, TOOLS = 61, 20


def model_name(events: int, interval_ms: int) -> str:
    """The model that answers with so many events."""
    return f"gemini-perf-e{events}-i{interval_ms}"


def request(dialect: str, model: str, *, stream: bool, size: str) -> bytes:
    """A whole HTTP request. ``size``: ``small`` (3 KB), ``agent`` (190 KB, 61 turns, 20 tools), or
    a number of characters of text."""
    path, build = _DIALECTS[dialect]
    texts = _texts(size)
    body = build(model, texts, _tools() if size == "agent" else [], stream)
    if dialect == "gemini":
        path += f"{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: perf/1.0\r\n"
        "Authorization: Bearer perf\r\nAnthropic-Version: 2023-06-01\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    if dialect != "anthropic":
        head = head.replace("Anthropic-Version: 2023-06-01\r\n", "")
    return head.encode() + data


def _texts(size: str) -> list[str]:
    """The turns of the conversation, the user's first and last."""
    turns, chars = (TURNS, AGENT_CHARS) if size == "agent" else (1, SMALL_CHARS)
    chars = int(size) if size.isdigit() else chars
    one = (_SENTENCE * (chars // turns // len(_SENTENCE) + 1))[: chars // turns]
    return [f"{number}: {one}" for number in range(turns)]


def _tools() -> list[Json]:
    """Functions as an editor declares them: name, description, JSON Schema."""
    return [
        {
            "name": f"tool_{number}",
            "description": _SENTENCE * 10,
            "parameters": {
                "type": "object",
                "properties": {
                    f"argument_{i}": {"type": "string", "description": _SENTENCE} for i in range(6)
                },
                "required": ["argument_0"],
                "additionalProperties": False,
            },
        }
        for number in range(TOOLS)
    ]


def _role(number: int) -> str:
    return "assistant" if number % 2 else "user"


def _openai(model: str, texts: list[str], tools: list[Json], stream: bool) -> Json:
    messages = [{"role": _role(i), "content": text} for i, text in enumerate(texts)]
    body: Json = {"model": model, "messages": messages, "stream": stream}
    return body | ({"tools": [{"type": "function", "function": t} for t in tools]} if tools else {})


def _anthropic(model: str, texts: list[str], tools: list[Json], stream: bool) -> Json:
    messages = [
        {"role": _role(i), "content": [{"type": "text", "text": text}]}
        for i, text in enumerate(texts)
    ]
    body: Json = {"model": model, "messages": messages, "stream": stream, "max_tokens": 4096}
    declared = [
        {"name": t["name"], "description": t["description"], "input_schema": t["parameters"]}
        for t in tools
    ]
    return body | ({"tools": declared} if tools else {})


def _responses(model: str, texts: list[str], tools: list[Json], stream: bool) -> Json:
    turns = [{"role": _role(i), "content": text} for i, text in enumerate(texts)]
    body: Json = {"model": model, "input": turns, "stream": stream, "store": False}
    return body | ({"tools": [{"type": "function", **t} for t in tools]} if tools else {})


def _gemini(model: str, texts: list[str], tools: list[Json], stream: bool) -> Json:
    contents = [
        {"role": "model" if i % 2 else "user", "parts": [{"text": text}]}
        for i, text in enumerate(texts)
    ]
    declared = [
        {**tool, "parameters": {k: v for k, v in tool["parameters"].items() if k[0] != "a"}}
        for tool in tools
    ]
    return {"contents": contents} | (
        {"tools": [{"functionDeclarations": declared}]} if tools else {}
    )


_DIALECTS: dict[str, tuple[str, Callable[[str, list[str], list[Json], bool], Json]]] = {
    "openai": ("/v1/chat/completions", _openai),
    "anthropic": ("/v1/messages", _anthropic),
    "responses": ("/v1/responses", _responses),
    "gemini": ("/v1beta/models/", _gemini),
}
