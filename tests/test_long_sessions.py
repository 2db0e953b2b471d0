"""Sessions of hundreds of turns: one upstream request a turn, every signature in its place."""

from pathlib import Path
from typing import Any

import pytest

from server.gemini.signatures import BYPASS
from tests.google.google import FakeGoogle
from tests.google.model import Answer, Asked
from tests.rig import GEMINI_KEY, Rig, running

TURNS = 200
RESTART_AFTER = 100
MODEL = "gemini-3-flash-preview"
SCHEMA = {"type": "object", "properties": {"step": {"type": "integer"}}}


def next_step(asked: Asked) -> Answer:
    """Call the tool again and again; every call is signed anew."""
    step = len(asked.request["contents"])
    call = {"functionCall": {"name": "work", "args": {"step": step}}}
    return Answer(parts=[call], signed=True)


class ChatClient:
    """An agent over chat completions that keeps only what OpenAI's own types know."""

    def __init__(self) -> None:
        self.history: list[Any] = [{"role": "user", "content": "work through it"}]

    async def turn(self, rig: Rig, number: int) -> None:
        function = {"name": "work", "parameters": SCHEMA}
        body = {
            "model": MODEL,
            "messages": self.history,
            "tools": [{"type": "function", "function": function}],
        }
        answer = await rig.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        (call,) = answer.json()["choices"][0]["message"]["tool_calls"]
        bare = {key: call[key] for key in ("id", "type", "function")}
        self.history.append({"role": "assistant", "content": None, "tool_calls": [bare]})
        self.history.append({"role": "tool", "tool_call_id": bare["id"], "content": str(number)})


class MessagesClient:
    """An agent over Anthropic messages that strips thinking blocks."""

    def __init__(self) -> None:
        self.history: list[Any] = [{"role": "user", "content": "work through it"}]

    async def turn(self, rig: Rig, number: int) -> None:
        body = {
            "model": MODEL,
            "max_tokens": 4000,
            "messages": self.history,
            "tools": [{"name": "work", "input_schema": SCHEMA}],
        }
        answer = await rig.http.post("/v1/messages", json=body)
        assert answer.status_code == 200, answer.text
        (block,) = (b for b in answer.json()["content"] if b["type"] == "tool_use")
        done = {"type": "tool_result", "tool_use_id": block["id"], "content": str(number)}
        self.history.append({"role": "assistant", "content": [block]})
        self.history.append({"role": "user", "content": [done]})


class ResponsesClient:
    """An agent over the Responses API that sends its whole history, without reasoning items."""

    def __init__(self) -> None:
        self.history: list[Any] = [{"role": "user", "content": "work through it"}]

    async def turn(self, rig: Rig, number: int) -> None:
        body = {
            "model": MODEL,
            "input": self.history,
            "store": False,
            "tools": [{"type": "function", "name": "work", "parameters": SCHEMA}],
        }
        answer = await rig.http.post("/v1/responses", json=body)
        assert answer.status_code == 200, answer.text
        (call,) = (item for item in answer.json()["output"] if item["type"] == "function_call")
        bare = {key: call[key] for key in ("type", "call_id", "name", "arguments")}
        done = {"type": "function_call_output", "call_id": call["call_id"], "output": str(number)}
        self.history += [bare, done]


Client = ChatClient | MessagesClient | ResponsesClient


@pytest.mark.parametrize("client", [ChatClient(), MessagesClient(), ResponsesClient()])
async def test_two_hundred_turns_with_a_restart_in_the_middle(
    tmp_path: Path, client: Client
) -> None:
    google = FakeGoogle(api_keys={GEMINI_KEY})
    google.answers.extend([next_step] * TURNS)
    for turns in (range(RESTART_AFTER), range(RESTART_AFTER, TURNS)):
        async with running(tmp_path, google=google) as rig:
            for number in turns:
                await client.turn(rig, number)
    sent = google.calls("streamGenerateContent")
    assert len(sent) == TURNS
    contents = sent[-1].json["contents"]
    signatures = [
        part.get("thoughtSignature")
        for content in contents
        for part in content["parts"]
        if "functionCall" in part
    ]
    assert len(signatures) == TURNS - 1
    assert None not in signatures
    assert BYPASS not in signatures
    assert len(set(signatures)) == len(signatures)
    results = [
        p["functionResponse"] for c in contents for p in c["parts"] if "functionResponse" in p
    ]
    assert [r["response"]["output"] for r in results] == [str(n) for n in range(TURNS - 1)]
    ids = [
        call["id"]
        for call in (p["functionCall"] for c in contents for p in c["parts"] if "functionCall" in p)
    ]
    assert len(set(ids)) == len(ids)
