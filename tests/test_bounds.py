"""What is foreign is bounded where it enters: the whole program, beside honest callers."""

import asyncio
import gzip
import json
import re
import threading
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from server.edge import app
from server.limits import LARGE_BODY_BYTES
from server.upstreams import gemini_api, wire
from server.upstreams import mock_vectors as embeddings
from tests.rig import running

Json = dict[str, Any]

NO_ADDRESSES = (
    *("http://0177.0.0.1/a.png", "http://[::1/", "http://a.example/\n.png", "http://a\0b.example/"),
    *("http://a.example/" + "b" * 70_000, "https://xn--/a.png", "http://a:99999/", "http://"),
    *("data:image/png;base64,", "data:image/png,", "data:", "data:image/png"),
)


def requests_with(url: str) -> dict[str, Json]:
    """By path and field: a request of every dialect that names a file this way."""
    image = {"type": "image_url", "image_url": {"url": url}}
    file = {"type": "input_file", "file_url": url}
    source = {"type": "url", "url": url}
    return {
        "/v1/chat/completions messages[0].content[0]": _asked("messages", [image]),
        "/v1/responses input[0].content[0]": _asked("input", [file]),
        "/v1/messages messages.0.content.0": _asked(
            "messages", [{"type": "image", "source": source}]
        ),
        "/v1/messages/count_tokens messages.0.content.0": _asked(
            "messages", [{"type": "document", "source": source}]
        ),
    }


def _asked(field: str, content: list[Json]) -> Json:
    message = {"role": "user", "content": content}
    return {"model": "gemini-2.5-pro", "max_tokens": 10, field: [message]}


@pytest.mark.parametrize("url", NO_ADDRESSES)
async def test_a_files_address_that_is_none_is_400_in_every_dialect(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as rig:
        for asked, body in requests_with(url).items():
            path, field = asked.split()
            answer = await rig.http.post(path, json=body)
            assert answer.status_code == 400, answer.text
            assert field in answer.text
            assert len(answer.text) < 1000
        assert rig.sent == []
    assert "Traceback" not in caplog.text


LONG = 8_000_000


def with_long_words(word: str) -> dict[str, Json]:
    """Requests whose names and words are as long as a body may be, by path."""
    user, part = {"role": "user", "content": "Hello"}, {"role": "user", "parts": [{"text": "Hi"}]}
    crooked = {"role": word, "content": "Hello"}
    typed = {"role": "user", "content": [{"type": word, "text": "Hello"}]}
    call = {"id": word, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [user, {"role": "assistant", "tool_calls": [call]}, user]
    return {
        "/v1/chat/completions": {"model": word, "messages": [user]},
        "/v1/chat/completions?role": {"model": "gpt-4o", "messages": [crooked]},
        "/v1/chat/completions?type": {"model": "gpt-4o", "messages": [typed]},
        "/v1/chat/completions?user": {"model": "gpt-4o", "messages": [user], "user": word},
        "/v1/chat/completions?field": {"model": "gpt-4o", "messages": [user], word: 1},
        "/v1/chat/completions?id": {"model": "gpt-4o", "messages": history},
        "/v1/messages": {"model": word, "max_tokens": 9, "messages": [user]},
        "/v1/messages?type": {"model": "opus", "max_tokens": 9, "messages": [typed]},
        "/v1/messages?field": {
            "model": "opus",
            "max_tokens": 9,
            "messages": [user],
            word: 1,
        },
        "/v1/messages/count_tokens": {"model": word, "messages": [user]},
        "/v1/responses": {"model": word, "input": "Hello"},
        "/v1/responses?previous": {
            "model": "gpt-5",
            "input": "Hello",
            "previous_response_id": word,
        },
        "/v1/embeddings": {"model": word, "input": "Hello"},
        "/v1beta/models/gemini-2.5-pro:generateContent": {"contents": [{**part, "role": word}]},
        "/v1beta/models/gemini-2.5-pro:generateContent?field": {"contents": [part], word: 1},
    }


async def test_words_of_megabytes_leave_nothing_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with running(tmp_path) as rig:
        for path, body in with_long_words("gemini-" + "x" * LONG).items():
            answer = await rig.http.post(path, json=body, headers={"user-agent": "t" * 50_000})
            assert answer.status_code in (200, 400, 404), (path, answer.text[:500])
            assert len(answer.content) < 20_000, path
            assert sum(len(value) for value in answer.headers.values()) < 4_000, path
        assert len((await rig.http.get("/usage")).content) < 100_000
        assert len((await rig.http.get("/metrics")).content) < 100_000
        recent = rig.gateway.signatures._recent
        assert sum(map(len, recent)) < 10_000
        assert max(len(record.getMessage()) for record in caplog.records) < 20_000
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2_000_000


def named(work: Callable[..., Any], threads: list[str]) -> Callable[..., Any]:
    """``work``, which notes the thread that does it."""

    def noting(*given: Any, **more: Any) -> Any:
        threads.append(threading.current_thread().name)
        return work(*given, **more)

    return noting


IN_PIPELINE = ("fit", "outgoing", "_digest")


@pytest.mark.parametrize("large", [False, True])
async def test_large_bodies_are_worked_on_outside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Read, understood, made to fit, digested and written again."""
    threads: list[str] = []
    for place in ("edge.body.parse_json", *(f"core.pipeline.{n}" for n in IN_PIPELINE)):
        module, _, name = place.rpartition(".")
        work = getattr(import_module(f"server.{module}"), name)
        monkeypatch.setattr(f"server.{place}", named(work, threads))
    monkeypatch.setattr(gemini_api, "build_request", named(wire.build_request, threads))
    text = "word " * (LARGE_BODY_BYTES // 5 if large else 5)
    said = [{"role": "user", "content": text}]
    gemini = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    bodies = {
        "/v1/chat/completions": {"model": "gpt-4o", "messages": said},
        "/v1/responses": {"model": "gpt-5", "input": text},
        "/v1/messages": {"model": "opus", "max_tokens": 9, "messages": said},
        "/v1/messages/count_tokens": {"model": "opus", "messages": said},
        "/v1beta/models/gemini-2.5-pro:generateContent": gemini,
    }
    async with running(tmp_path) as rig:
        await rig.http.get("/v1/models")
        threads.clear()
        for path, body in bodies.items():
            assert (await rig.http.post(path, json=body)).status_code == 200
    assert len(threads) >= 4 * len(bodies)
    assert threads.count("off-loop") == (len(threads) - 1 if large else 0)  # one asks for a count


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1beta/models/x:batchEmbedContents"])
async def test_many_vectors_are_made_and_written_outside_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    threads: list[str] = []
    for module, name in ((embeddings, "mock_vectors"), (app, "dump_pieces")):
        monkeypatch.setattr(module, name, named(getattr(module, name), threads))
    one = {"content": {"parts": [{"text": "x"}]}, "outputDimensionality": 3072}
    openai = {"model": "text-embedding-3-large", "input": ["x"] * 50}
    async with running(tmp_path, upstream="demo", gemini_api_key=None) as rig:
        body = openai if path == "/v1/embeddings" else {"requests": [one] * 50}
        answer = await rig.http.post(path, json=body)
        vectors = answer.json().get("data") or answer.json()["embeddings"]
        assert len(vectors) == 50
        assert threads == ["off-loop", "off-loop"]


@pytest.mark.parametrize("length", [3073, 30_000_000, 0])
async def test_a_vector_of_millions_is_400_in_every_dialect(tmp_path: Path, length: int) -> None:
    gemini = {"content": {"parts": [{"text": "x"}]}, "outputDimensionality": length}
    model = "/v1beta/models/gemini-embedding-001"
    asked = {
        "/v1/embeddings": {"model": "text-embedding-3-large", "input": "x", "dimensions": length},
        f"{model}:embedContent": gemini,
        f"{model}:batchEmbedContents": {"requests": [gemini]},
    }
    async with running(tmp_path, upstream="demo", gemini_api_key=None) as rig:
        for path, body in asked.items():
            answer = await rig.http.post(path, json=body)
            assert answer.status_code == 400, answer.text
            assert re.search("dimensions|outputDimensionality", answer.text)


@pytest.mark.parametrize("stops", [["x"] * 101, ["y" * 4097], ["z" * 50] * 90, ["x"] * 100_000])
async def test_stop_sequences_are_few_in_every_dialect(tmp_path: Path, stops: list[str]) -> None:
    """Each would be looked for in every piece of the answer."""
    said = [{"role": "user", "content": "Hello"}]
    asked = {
        "/v1/chat/completions stop": {"model": "gpt-4o", "messages": said, "stop": stops},
        "/v1/completions stop": {"model": "gpt-4o", "prompt": "Hello", "stop": stops},
        "/v1/messages stop_sequences": {
            "model": "opus",
            "max_tokens": 9,
            "messages": said,
            "stop_sequences": stops,
        },
    }
    async with running(tmp_path) as rig:
        for place, body in asked.items():
            path, field = place.split()
            answer = await rig.http.post(path, json=body)
            assert answer.status_code == 400, answer.text
            assert field in answer.text
        few = {"model": "gpt-4o", "messages": said, "stop": ["x"] * 100}
        assert (await rig.http.post("/v1/chat/completions", json=few)).status_code == 200


@pytest.mark.parametrize("packed", [False, True])
async def test_large_bodies_of_all_requests_together_have_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """From the first byte to the end of the answer; small ones are answered as ever."""
    monkeypatch.setattr("server.edge.body.BODIES_BYTES", 2 * LARGE_BODY_BYTES)
    go_on, begun = asyncio.Event(), asyncio.Event()
    large = chat("x" * (LARGE_BODY_BYTES * 3 // 2))

    async def slowly() -> AsyncIterator[bytes]:
        yield large[:-1]
        begun.set()
        await go_on.wait()
        yield large[-1:]

    head = {"content-type": "application/json"}
    second = {**head, "content-encoding": "gzip"} if packed else head
    content = gzip.compress(large) if packed else large
    async with running(tmp_path) as rig:
        first = asyncio.create_task(
            rig.http.post("/v1/chat/completions", content=slowly(), headers=head)
        )
        await begun.wait()
        for path, status in (("/v1/chat/completions", 503), ("/v1/messages", 529)):
            answer = await rig.http.post(path, content=content, headers=second)
            assert answer.status_code == status
            assert int(answer.headers["retry-after"]) > 0
            assert "MiB of large requests" in answer.json()["error"]["message"]
        small = await rig.http.post("/v1/chat/completions", content=chat("x"), headers=head)
        assert small.status_code == 200
        go_on.set()
        assert (await first).status_code == 200
        answer = await rig.http.post("/v1/chat/completions", content=content, headers=second)
        assert answer.status_code == 200


def chat(text: str) -> bytes:
    said = [{"role": "user", "content": text}]
    return json.dumps({"model": "gemini-2.5-flash", "max_tokens": 9, "messages": said}).encode()
