"""Media in requests, and what becomes of it in the newest turn and in earlier ones."""

import base64
from typing import Any

import pytest

from server.dialects import DIALECTS
from server.dialects.base import Generate, Params
from server.dialects.fields import place
from server.dialects.media import Incoming, newest_turn, strict_base64
from server.errors import BadRequestError
from server.gemini.types import Call, Json

BAD_DATA = "data:image/png;base64,!!"
ZIP = "data:application/zip;base64,/w=="


def parse(path: str, body: Json) -> Call:
    operation = next(r.operation for d in DIALECTS for r in d.routes if r.path == path)
    assert isinstance(operation, Generate)
    return operation.parse({"model": "m", **body}, Params())


def chat(*messages: Json) -> Call:
    return parse("/v1/chat/completions", {"messages": list(messages)})


def responses(*items: Json) -> Call:
    return parse("/v1/responses", {"input": list(items)})


def messages(*said: Json) -> Call:
    return parse("/v1/messages", {"messages": list(said), "max_tokens": 2000})


def chat_picture(url: str) -> list[Json]:
    return [{"type": "image_url", "image_url": {"url": url}}]


def responses_picture(url: str) -> list[Json]:
    return [{"type": "input_image", "image_url": url}]


def messages_picture(url: str) -> list[Json]:
    mime, _, data = url.removeprefix("data:").partition(";base64,")
    source = {"type": "base64", "media_type": mime, "data": data}
    return [{"type": "image", "source": source}]


DIALECT: pytest.MarkDecorator = pytest.mark.parametrize(
    ("ask", "picture", "param", "named"),
    [
        (chat, chat_picture, "messages[0].content[0].image_url.url", "messages[].content[]"),
        (responses, responses_picture, "input[0].content[0].image_url", "input[].content[]"),
        (
            messages,
            messages_picture,
            "messages.0.content.0.image.source.base64.data",
            "messages[].content[]",
        ),
    ],
    ids=["chat", "responses", "messages"],
)


@DIALECT
def test_bad_base64_is_refused_while_it_is_new(
    ask: Any, picture: Any, param: str, named: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask({"role": "user", "content": picture(BAD_DATA)})
    assert caught.value.param == param


@DIALECT
def test_in_an_earlier_turn_a_line_stands_in_its_place(
    ask: Any, picture: Any, param: str, named: str
) -> None:
    """Whether the turn that failed was answered or not."""
    first = {"role": "user", "content": picture(BAD_DATA)}
    again = {"role": "user", "content": "and now?"}
    for between in ([], [{"role": "assistant", "content": "hm"}]):
        call = ask(first, *between, again)
        (part,) = call.request["contents"][0]["parts"]
        assert part["text"] == (
            "[Left out here, because it cannot be used: Input should be valid base64]"
        )
        assert call.dropped == (named,)


@pytest.mark.parametrize("odd", [None, 5, [], True], ids=repr)
@pytest.mark.parametrize("ask", [chat, responses, messages])
def test_what_is_no_part_at_all_is_left_out_of_an_earlier_turn(ask: Any, odd: object) -> None:
    first: Json = {"role": "user", "content": [{"type": "text", "text": "see"}, odd]}
    if ask is responses:
        first["content"][0]["type"] = "input_text"
    with pytest.raises(BadRequestError, match=r"content.*1.*valid object"):
        ask(first)
    call = ask(first, {"role": "assistant", "content": "hm"}, {"role": "user", "content": "go on"})
    see, line = call.request["contents"][0]["parts"]
    assert (see, line["text"][:14]) == ({"text": "see"}, "[Left out here")
    place = "input[].content[]" if ask is responses else "messages[].content[]"
    assert call.dropped == (place,)


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ("audio/x-m4a", "audio/mp4"),
        ("audio/mp3", "audio/mpeg"),
        ("audio/x-wav", "audio/wav"),
        ("application/x-pdf", "application/pdf"),
        ("image/jpg", "image/jpeg"),
    ],
)
def test_other_names_of_a_type_become_the_one_gemini_takes(sent: str, taken: str) -> None:
    call = chat({"role": "user", "content": chat_picture(f"data:{sent};base64,AAAA")})
    assert call.request["contents"][0]["parts"][0]["inlineData"]["mimeType"] == taken


@pytest.mark.parametrize("data", [b"PK\3\4\0\0", b"\xd0\xcf\x11\xe0"], ids=["docx", "doc"])
def test_a_document_of_another_program_is_no_text(data: bytes) -> None:
    sent = base64.b64encode(data).decode()
    file = {"filename": "a.docx", "file_data": f"data:application/octet-stream;base64,{sent}"}
    with pytest.raises(BadRequestError, match="neither media that Gemini takes nor text") as caught:
        chat({"role": "user", "content": [{"type": "file", "file": file}]})
    assert caught.value.param == "messages[0].content[0].file.file_data"


def test_so_it_does_in_a_result_of_an_earlier_turn() -> None:
    use: Json = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": messages_picture(BAD_DATA)}
    said: list[Json] = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    with pytest.raises(BadRequestError):
        messages(*said)
    call = messages(*said, {"role": "user", "content": "go on"})
    answer = call.request["contents"][2]["parts"][0]["functionResponse"]
    assert answer["response"]["output"].startswith("[Left out here")
    assert call.dropped == ("messages[].content[].content[]",)


def test_several_results_that_end_a_conversation_are_all_new() -> None:
    calls: list[Json] = [
        {"id": n, "function": {"name": "look", "arguments": "{}"}} for n in ("a", "b")
    ]
    said: list[Json] = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": chat_picture(ZIP)},
        {"role": "tool", "tool_call_id": "b", "content": "fine"},
    ]
    with pytest.raises(BadRequestError) as caught:
        chat(*said)
    assert caught.value.param == "messages[2].content[0].image_url.url"
    assert chat(*said, {"role": "user", "content": "go on"}).dropped == ("messages[].content[]",)


@pytest.mark.parametrize(
    ("speakers", "start"),
    [
        ([], 0),
        (["user"], 0),
        (["user", "other", "user"], 2),
        (["user", "user"], 1),
        (["user", "other", "result", "result"], 2),
        (["user", "other", "result", "user"], 3),
        (["user", "other"], 0),
        (["result"], 0),
        (["other"], 0),
    ],
)
def test_where_the_newest_turn_begins(speakers: Any, start: int) -> None:
    assert newest_turn(len(speakers), speakers.__getitem__) == start


@pytest.mark.parametrize(
    ("ask", "body"),
    [(chat, {"role": "user"}), (responses, {"role": "user"}), (messages, {"role": "user"})],
)
def test_a_user_message_without_content_is_refused_while_it_is_new(ask: Any, body: Json) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(body)
    assert str(caught.value.param).endswith("0.content") or "[0].content" in str(caught.value.param)
    ask(body, {"role": "user", "content": "hi"})


def test_our_own_pictures_come_back_as_the_models() -> None:
    """``message.images`` of an answer, sent back before "make it blue"."""
    made = {
        "role": "assistant",
        "content": "",
        "images": chat_picture("data:image/png;base64,aGk="),
    }
    call = chat({"role": "user", "content": "draw"}, made, {"role": "user", "content": "blue"})
    turn = call.request["contents"][1]
    assert turn["role"] == "model"
    assert {"inlineData": {"mimeType": "image/png", "data": "aGk="}} in turn["parts"]
    assert call.dropped == ()


@pytest.mark.parametrize(
    ("mime", "sent"),
    [
        ("image/png", False),
        ("image/jpg", False),
        ("image/heic", False),
        ("image/gif", True),
        ("image/bmp", True),
        ("image/avif", True),
        ("audio/wav", False),
    ],
)
def test_images_that_gemini_does_not_take_are_noted(mime: str, sent: bool) -> None:
    incoming = Incoming()
    part = incoming.media(mime, "aGk=", "a.b")
    assert [picture.part for picture in incoming.pictures] == ([part] if sent else [])


def test_a_drawing_in_words_is_text() -> None:
    part = Incoming().media("image/svg+xml", "PHN2Zy8+", "a")
    assert part == {"text": "<svg/>"}


def test_places_and_base64() -> None:
    assert place("messages.0.content.12.source") == "messages[].content[].source"
    assert place("messages[3].content[0]") == "messages[].content[]"
    assert strict_base64("aG\nk", "a") == "aGk="
    assert strict_base64("-_8", "a") == "+/8="
