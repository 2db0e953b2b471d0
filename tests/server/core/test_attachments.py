"""Files by address on each upstream, and conversations that go on after what cannot be used."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server.core.attachments import Attachments
from server.core.downloads import Fetcher
from server.demo.errors import GoogleError
from server.errors import BadRequestError
from server.gemini.types import Call, Download, Json
from tests.google.failures import Failure
from tests.rig import Rig, running

BASE = "https://generativelanguage.googleapis.com"
YOUTUBE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
FILE = f"{BASE}/v1beta/files/abc-123"
BUCKET = "gs://bucket/a.mp4"
PNG = "iVBORw0KGgo="


def asking(url: str, **more: Any) -> tuple[Call, Json]:
    part: Json = {"inlineData": {}}
    download = Download(part=part, url=url, param="messages[0].content[0].image_url.url", **more)
    call = Call(dialect="test", model="m", request={}, downloads=[download])
    return call, part


@pytest.mark.parametrize(
    ("upstream", "url"),
    [
        ("gemini-api", YOUTUBE),
        ("gemini-api", FILE),
        ("vertex", YOUTUBE),
        ("vertex", BUCKET),
    ],
)
async def test_google_reads_its_own_addresses(upstream: str, url: str) -> None:
    call, part = asking(url)
    assert await Attachments(Fetcher()).settle(call, upstream, BASE) == ()
    assert part == {"fileData": {"fileUri": url}}


async def test_a_type_that_the_client_gives_goes_along() -> None:
    call, part = asking(BUCKET, mime="video/mp4")
    await Attachments(Fetcher()).settle(call, "vertex", BASE)
    assert part == {"fileData": {"mimeType": "video/mp4", "fileUri": BUCKET}}


@pytest.mark.parametrize(
    ("upstream", "url", "able"),
    [
        ("code-assist", YOUTUBE, "gemini-api (Gemini API key) or vertex"),
        ("demo", YOUTUBE, "gemini-api (Gemini API key) or vertex"),
        ("code-assist", FILE, "works with gemini-api"),
        ("vertex", FILE, "works with gemini-api"),
        ("gemini-api", BUCKET, "works with vertex"),
    ],
)
async def test_elsewhere_the_error_says_where_it_would_work(
    upstream: str, url: str, able: str
) -> None:
    call, _ = asking(url)
    with pytest.raises(BadRequestError) as caught:
        await Attachments(Fetcher()).settle(call, upstream, BASE)
    assert able in caught.value.message
    assert caught.value.param == "messages[0].content[0].image_url.url"
    call, part = asking(url, earlier=True, place="messages[].content[]")
    left = await Attachments(Fetcher()).settle(call, upstream, BASE)
    assert left == ("messages[].content[]",)
    assert able in part["text"]


def gif() -> str:
    data = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(data, "GIF")
    return base64.b64encode(data.getvalue()).decode()


def chat_picture(mime: str, data: str) -> list[Json]:
    return [{"type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}"}}]


def chat_link(url: str) -> list[Json]:
    return [{"type": "image_url", "image_url": {"url": url}}]


def message_picture(mime: str, data: str) -> list[Json]:
    return [{"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}}]


def message_link(url: str) -> list[Json]:
    return [{"type": "image", "source": {"type": "url", "url": url}}]


def response_picture(mime: str, data: str) -> list[Json]:
    return [{"type": "input_image", "image_url": f"data:{mime};base64,{data}"}]


def response_link(url: str) -> list[Json]:
    return [{"type": "input_image", "image_url": url}]


DIALECTS: dict[str, tuple[str, str, Any, Any]] = {
    "chat": ("/v1/chat/completions", "messages", chat_picture, chat_link),
    "messages": ("/v1/messages", "messages", message_picture, message_link),
    "responses": ("/v1/responses", "input", response_picture, response_link),
}


async def ask(rig: Rig, dialect: str, *said: Json) -> Any:
    path, name, _, _ = DIALECTS[dialect]
    body: Json = {"model": "gemini-2.5-flash", name: list(said)}
    if dialect == "messages":
        body["max_tokens"] = 2000
    return await rig.http.post(path, json=body)


def parts_sent(rig: Rig) -> list[Json]:
    return [part for content in rig.sent[-1]["contents"] for part in content["parts"]]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_gif_is_seen_on_this_turn_and_on_later_ones(dialect: str, tmp_path: Path) -> None:
    shown = {"role": "user", "content": DIALECTS[dialect][2]("image/gif", gif())}
    async with running(tmp_path) as rig:
        assert (await ask(rig, dialect, shown)).status_code == 200
        first = [part["inlineData"] for part in parts_sent(rig) if "inlineData" in part]
        later = [shown, {"role": "assistant", "content": "red"}, {"role": "user", "content": "so?"}]
        assert (await ask(rig, dialect, *later)).status_code == 200
        second = [part["inlineData"] for part in parts_sent(rig) if "inlineData" in part]
    assert [blob["mimeType"] for blob in first] == ["image/png"]
    assert first == second


@pytest.mark.parametrize("kind", ["broken gif", "bad base64", "dead address", "foreign file"])
@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_was_refused_once_does_not_end_the_conversation(
    dialect: str, kind: str, answered: bool, tmp_path: Path
) -> None:
    _, _, picture, link = DIALECTS[dialect]
    content = {
        "broken gif": picture("image/gif", "R0lGODlh"),
        "bad base64": picture("image/png", "!!"),
        "dead address": link("http://127.0.0.1:9/gone.png"),
        "foreign file": link(BUCKET),
    }[kind]
    shown = {"role": "user", "content": content}
    async with running(tmp_path) as rig:
        assert (await ask(rig, dialect, shown)).status_code == 400
        between = [{"role": "assistant", "content": "hm"}] if answered else []
        again = await ask(rig, dialect, shown, *between, {"role": "user", "content": "go on"})
        assert again.status_code == 200
        assert again.headers["x-proxy-dropped"].endswith("[].content[]")
        texts = [part.get("text", "") for part in parts_sent(rig)]
    assert any(text.startswith("[Left out here") for text in texts)


async def test_a_result_longer_than_the_window_does_not_either(tmp_path: Path) -> None:
    use = {"id": "c", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    said: list[Json] = [
        {"role": "user", "content": "read it"},
        {"role": "assistant", "tool_calls": [use]},
        {"role": "tool", "tool_call_id": "c", "content": "word " * 1_000_000},
    ]
    async with running(tmp_path) as rig:
        await ask(rig, "chat", *said)
        assert len(str(rig.sent[-1])) > 4_000_000
        again = await ask(rig, "chat", *said, {"role": "user", "content": "go on"})
        assert again.status_code == 200
        assert "more than the model can read" in str(rig.sent[-1])
        assert len(str(rig.sent[-1])) < 10_000
        assert "contents[].parts[]" in again.headers["x-proxy-dropped"]


async def test_a_line_in_place_of_a_picture_is_part_of_the_result(tmp_path: Path) -> None:
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    broken = message_picture("image/gif", "R0lGODlh")
    result = {"type": "tool_result", "tool_use_id": "t", "content": broken}
    said: list[Json] = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
        {"role": "user", "content": "go on"},
    ]
    async with running(tmp_path) as rig:
        assert (await ask(rig, "messages", *said)).status_code == 200
        answers = [part for part in parts_sent(rig) if "functionResponse" in part]
    (answer,) = answers
    assert "[Left out here" in answer["functionResponse"]["response"]["output"]
    assert "parts" not in answer["functionResponse"]


REFUSALS = [
    (400, "Unable to process input image. Please retry or report in https://ai.google.dev"),
    (400, "Unsupported MIME type: audio/midi"),
    (400, "The document has no pages."),
    (403, "You do not have permission to access the File abc-123 or it may not exist."),
    (400, "The document contains 2000 pages which exceeds the supported page limit of 1000."),
    (400, "The File abc-123 is not in an ACTIVE state and usage is not allowed."),
    (400, "Request contains an invalid argument."),
]


@pytest.mark.parametrize(("status", "message"), REFUSALS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_media_of_earlier_turns_go_when_google_cannot_read_them(
    dialect: str, status: int, message: str, tmp_path: Path
) -> None:
    """A broken PNG, a file that has ended: what is wrong with them, only Google knows."""
    shown = {"role": "user", "content": DIALECTS[dialect][2]("image/png", PNG)}
    async with running(tmp_path) as rig:
        rig.google.fail(Failure(error=GoogleError(status, message)), times=2)
        refused = await ask(rig, dialect, shown)
        assert refused.status_code == 400
        assert message[:20] in refused.text
        assert len(rig.sent) == 1
        again = await ask(rig, dialect, shown, {"role": "user", "content": "go on"})
        assert again.status_code == 200
        assert "inlineData" in str(rig.sent[1])
        assert "inlineData" not in str(rig.sent[2])
        assert "Google could not read all files of this conversation" in str(rig.sent[2])
        assert "contents[].parts[]" in again.headers["x-proxy-dropped"]


async def test_what_went_once_goes_at_once_from_then_on(tmp_path: Path) -> None:
    """Else each later turn would be refused first; another picture is another matter."""
    said: list[Json] = [{"role": "user", "content": chat_picture("image/png", PNG)}]
    said += [{"role": "user", "content": "go on"}]
    async with running(tmp_path) as rig:
        rig.google.fail(Failure(error=GoogleError(*REFUSALS[0])))
        for requests in (2, 3, 4):
            answer = await ask(rig, "chat", *said)
            assert (answer.status_code, len(rig.sent)) == (200, requests)
            assert "contents[].parts[]" in answer.headers["x-proxy-dropped"]
            assert "inlineData" not in str(rig.sent[-1])
            said += [{"role": "assistant", "content": "well"}, {"role": "user", "content": "on"}]
    async with running(tmp_path) as rig:
        assert (await ask(rig, "chat", *said)).status_code == 200
        assert "inlineData" not in str(rig.sent[-1]), "a restart forgets nothing"
        other = {"role": "user", "content": chat_picture("image/jpeg", PNG)}
        assert (await ask(rig, "chat", other, *said)).status_code == 200
        assert str(rig.sent[-1]).count("inlineData") == 2


async def test_a_vague_refusal_may_mean_the_media_and_blames_no_schema(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": PATTERNED}}]
    said = [{"role": "user", "content": chat_picture("image/png", PNG)}, USER]
    body = {"model": "gemini-2.5-flash", "messages": said, "tools": tools}
    async with running(tmp_path) as rig:
        vague = GoogleError(400, "Request contains an invalid argument.")
        rig.google.fail(Failure(error=vague), times=2)
        for requests in (3, 4):
            answer = await rig.http.post("/v1/chat/completions", json=body)
            assert (answer.status_code, len(rig.sent)) == (200, requests)
            assert "pattern" in str(rig.sent[-1]["tools"][0]["functionDeclarations"])
            assert "inlineData" not in str(rig.sent[-1])
            assert "functionDeclarations" not in answer.headers["x-proxy-dropped"]


PATTERNED = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a"}}}
USER: Json = {"role": "user", "content": "go on"}


async def test_so_do_those_in_results(tmp_path: Path) -> None:
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": message_picture("image/png", PNG),
    }
    said: list[Json] = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
        {"role": "user", "content": "go on"},
    ]
    for model in ("gemini-2.5-flash", "gemini-3-flash-preview"):
        async with running(tmp_path) as rig:
            rig.google.fail(Failure(error=GoogleError(*REFUSALS[0])))
            body = {"model": model, "messages": said, "max_tokens": 2000}
            assert (await rig.http.post("/v1/messages", json=body)).status_code == 200
            assert "inlineData" in str(rig.sent[0])
            assert "inlineData" not in str(rig.sent[1])
