"""Requests made to cost much, all at once: ``python -m tests.hostile PORT COUNT``.

A process of its own, so that making and sending them holds up nobody who measures. Prints how many
were answered with each status.
"""

import asyncio
import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable

import httpx

from server.limits import BODY_FIELDS

MODEL = "gemini-perf-e1-i0"
HELLO = {"role": "user", "content": "Hello"}
SIZE = 300_000
"""Bytes of most of them, about."""


def chat(**more: object) -> bytes:
    return json.dumps({"model": MODEL, "messages": [HELLO], **more}).encode()


def around(inner: bytes) -> bytes:
    """A request with this value in a field that nobody knows."""
    return chat(odd="?").replace(b'"?"', inner)


def unknown_results() -> bytes:
    calls = [
        {"id": f"a{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for i in range(1500)
    ]
    results = [{"role": "tool", "tool_call_id": f"b{i}", "content": "r"} for i in range(1500)]
    return chat(messages=[HELLO, {"role": "assistant", "tool_calls": calls}, *results])


def many_tools() -> bytes:
    schema = {"type": "object", "properties": {"a": {"enum": [f"v{i}" for i in range(50)]}}}
    tools = [
        {"type": "function", "function": {"name": f"t{i}", "parameters": schema}}
        for i in range(300)
    ]
    return chat(tools=tools)


KINDS: tuple[Callable[[], bytes], ...] = (
    lambda: chat(messages=[HELLO, {"role": "assistant", "content": "b"}] * 4_000),
    lambda: chat(messages=[{"role": "user", "content": "word " * (8 * SIZE // 5)}]),
    lambda: around(b"[" + b"[]," * (BODY_FIELDS // 4) + b"1]"),
    lambda: around(b"[" + b"{}," * (BODY_FIELDS) + b"{}]"),
    lambda: around(b"[" * 100_000 + b"]" * 100_000),
    lambda: around(json.dumps({f"k{i}": i for i in range(100_000)}).encode()),
    lambda: chat(model="gemini-" + "x" * 4 * SIZE),
    lambda: chat(stop=["x"] * 100_000),
    lambda: chat(messages=[{"role": "r" * 4 * SIZE, "content": "a"}]),
    lambda: gzip.compress(chat(messages=[{"role": "user", "content": "x" * 30 * SIZE}])),
    unknown_results,
    many_tools,
)


async def main(port: int, count: int) -> None:
    bodies = [kind() for kind in KINDS]
    limits = httpx.Limits(max_connections=None)
    statuses: Counter[int] = Counter()
    async with httpx.AsyncClient(limits=limits, timeout=300, trust_env=False) as http:

        async def send(number: int) -> None:
            body = bodies[number % len(bodies)]
            coding = {"content-encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
            answer = await http.post(
                f"http://127.0.0.1:{port}/v1/chat/completions",
                content=body,
                headers={"content-type": "application/json", **coding},
            )
            statuses[answer.status_code] += 1

        print(0, flush=True)  # noqa: T201
        await asyncio.gather(*map(send, range(count)))
    print(json.dumps(statuses))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
