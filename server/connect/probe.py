"""One question to this server, asked the way a tool asks: its dialect, path, headers and streaming.

Everything in the request comes from what the tool's files say, so an answer means that the tool
gets one too.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from server import __version__
from server.connect.tool import Ask

QUESTION = "Reply with the single word: connected"
ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    ok: bool
    told: str
    """One sentence for the user: the model and its words, or what is wrong and what to do."""


async def ask(wanted: Ask, http: httpx.AsyncClient | None = None) -> Answer:
    """Send the request and read its stream to the end."""
    client = http or httpx.AsyncClient(trust_env=False)
    try:
        request = client.build_request(
            "POST",
            wanted.url,
            json=_body(wanted),
            headers=_headers(wanted),
            timeout=ANSWER_S,
        )
        answer = await client.send(request, stream=True)
        try:
            text = (await answer.aread()).decode("utf-8", "replace")
        finally:
            await answer.aclose()
    except httpx.ConnectError:
        return Answer(
            ok=False, told=f"Nothing answers at {_origin(wanted)}. Start Gemini API Proxy first."
        )
    except httpx.TimeoutException:
        return Answer(ok=False, told=f"{_origin(wanted)} took longer than {ANSWER_S:.0f} s.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Answer(ok=False, told=f"{_origin(wanted)} cannot be asked: {error}.")
    finally:
        if http is None:
            await client.aclose()
    return _judge(wanted, answer, text)


def _judge(wanted: Ask, answer: httpx.Response, text: str) -> Answer:
    if answer.status_code != 200:
        return Answer(ok=False, told=f"{answer.status_code}: {_message(text)}")
    frames = list(_frames(text))
    words, ended = _read(wanted, frames)
    if ended and words:
        model = answer.headers.get("x-gemini-model", wanted.model)
        return Answer(ok=True, told=f"{model} answered: {' '.join(words.split())[:80]}")
    failed = next((frame["error"] for frame in frames if frame.get("error")), None)
    if failed is None and frames:
        failed = frames[-1].get("response", {}).get("error")
    if failed:
        return Answer(ok=False, told=f"The answer broke off: {failed.get('message', failed)}")
    return Answer(ok=False, told="The answer was empty or did not come to its end.")


def _body(wanted: Ask) -> dict[str, Any]:
    turn = {"role": "user", "content": QUESTION}
    match wanted.dialect:
        case "messages":
            return {
                "model": wanted.model,
                "max_tokens": 1024,
                "stream": True,
                "system": [{"type": "text", "text": "Be brief."}],
                "messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
            }
        case "responses":
            content = [{"type": "input_text", "text": QUESTION}]
            return {
                "model": wanted.model,
                "stream": True,
                "store": False,
                "input": [{"type": "message", "role": "user", "content": content}],
            }
        case "gemini":
            return {"contents": [{"role": "user", "parts": [{"text": QUESTION}]}]}
        case "chat":
            return {
                "model": wanted.model,
                "stream": True,
                "stream_options": {"include_usage": True},
                "messages": [turn],
            }


def _headers(wanted: Ask) -> dict[str, str]:
    headers = {
        "user-agent": f"gemini-api-proxy-connect/{__version__}",
        "accept": "text/event-stream",
    }
    if wanted.dialect == "messages":
        headers["anthropic-version"] = "2023-06-01"
    if wanted.key is not None:
        if wanted.dialect == "gemini":
            headers["x-goog-api-key"] = wanted.key
        else:
            headers["authorization"] = f"Bearer {wanted.key}"
    return headers


def _frames(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line[6:])


def _read(wanted: Ask, frames: list[dict[str, Any]]) -> tuple[str, bool]:
    """The words of an answer, and whether it came to its end."""
    match wanted.dialect:
        case "messages":
            deltas = [frame["delta"] for frame in frames if "delta" in frame]
            words = "".join(delta.get("text", "") for delta in deltas)
            return words, any(frame.get("type") == "message_stop" for frame in frames)
        case "responses":
            kind = "response.output_text.delta"
            words = "".join(frame["delta"] for frame in frames if frame.get("type") == kind)
            return words, any(frame.get("type") == "response.completed" for frame in frames)
        case "gemini":
            candidates = [one for frame in frames for one in frame.get("candidates", [])]
            parts = [part for one in candidates for part in one.get("content", {}).get("parts", [])]
            words = "".join(part.get("text", "") for part in parts if not part.get("thought"))
            return words, any("finishReason" in one for one in candidates)
        case "chat":
            choices = [one for frame in frames for one in frame.get("choices", [])]
            words = "".join(one.get("delta", {}).get("content") or "" for one in choices)
            return words, any(one.get("finish_reason") for one in choices)


def _message(text: str) -> str:
    """What an error body says, in any dialect."""
    try:
        error = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return "an answer that is not ours. Does another program listen there?"
    return str(error.get("message", error) if isinstance(error, dict) else error)


def _origin(wanted: Ask) -> str:
    return "/".join(wanted.url.split("/")[:3])
