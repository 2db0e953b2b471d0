import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dialects.fields import Fields
from server.dialects.media import Incoming
from server.dialects.openai.content import function_response, read_arguments, read_parts, read_text
from server.errors import BadRequestError
from server.gemini.media import MEDIA
from server.gemini.types import Json
from tests.server.dialects.openai.support import JSON_VALUES

DEEP = '{"a":' * 988 + "1" + "}" * 988
PNG = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
PDF = {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}}


def holding(content: object) -> Fields:
    return Fields.of({"content": content})


def read(*parts: object) -> list[Json]:
    return read_parts(holding(list(parts)), "content", Incoming())


def image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url, "detail": "high"}}


def file(data: str, name: str | None = None) -> Json:
    return {"type": "file", "file": {"file_data": data, "filename": name}}


def audio(data: str, form: str) -> Json:
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


@pytest.mark.parametrize(
    ("part", "read_as"),
    [
        ({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"text": "a"}),
        ({"type": "input_text", "text": "a"}, {"text": "a"}),
        ({"type": "output_text", "text": "a"}, {"text": "a"}),
        ({"text": "a"}, {"text": "a"}),
        ("a", {"text": "a"}),
        ({"type": "refusal", "refusal": "no"}, {"text": "no"}),
        (image("data:image/png;base64,aGk="), PNG),
        (image("DATA:image/png;base64,aGk"), PNG),
        (image("data:image/png;charset=utf-8;base64,aGk"), PNG),
        (image("data:image/png;base64,aGk%3D"), PNG),
        (image("data:image/png;base64,aG\nk="), PNG),
        (image("data:image/png,hi"), PNG),
        (image("data:image/png,%68i"), PNG),
        (image("data:application/pdf;base64,aGk="), PDF),
        (image("data:text/plain;base64,aGk="), {"text": "hi"}),
        (image("data:,hi"), {"text": "hi"}),
        ({"type": "image_url", "image_url": "data:image/png;base64,aGk="}, PNG),
        ({"type": "input_image", "image_url": "data:image/png;base64,aGk="}, PNG),
        (
            image("data:image/jpg;base64,-_-_"),
            {"inlineData": {"mimeType": "image/jpeg", "data": "+/+/"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,aGk="}},
            {"inlineData": {"mimeType": "video/mp4", "data": "aGk="}},
        ),
        (audio("aGk=", "wav"), {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}),
        (audio("aGk=", "mp3"), {"inlineData": {"mimeType": "audio/mpeg", "data": "aGk="}}),
        (audio("aGk=", "pcm16"), {"inlineData": {"mimeType": "audio/pcm", "data": "aGk="}}),
        (file("data:application/pdf;base64,aGk="), PDF),
        (file("data:application/octet-stream;base64,aGk=", "a.PDF"), PDF),
        (file("aGk=", "paper.pdf"), PDF),
        (file("aGk=", "notes.md"), {"text": "hi"}),
        (file("data:application/json;base64,e30=", "a.json"), {"text": "{}"}),
        ({"type": "input_file", "file_data": "aGk=", "filename": "a.pdf"}, PDF),
    ],
)
def test_a_part_is_read(part: object, read_as: Json) -> None:
    assert read(part) == [read_as]


def test_thoughts_in_a_history_say_nothing() -> None:
    assert read({"type": "thinking", "thinking": "hm"}, {"type": "reasoning", "text": "hm"}) == []


@pytest.mark.parametrize(
    ("part", "param", "code"),
    [
        ({"type": "hologram"}, "type", None),
        ({}, "type", None),
        ({"type": "text"}, "text", None),
        ({"type": "text", "text": 5}, "text", None),
        (5, "", None),
        (image(""), "image_url.url", "missing_required_parameter"),
        (image("file:///etc/passwd"), "image_url.url", "invalid_image_url"),
        (image("ftp://a.test/a.png"), "image_url.url", "invalid_image_url"),
        (image("data:image/png;base64"), "image_url.url", "invalid_image_url"),
        (image("data:image/png;base64,!!"), "image_url.url", "invalid_value"),
        (image("data:image/png;base64,"), "image_url.url", "invalid_image_url"),
        (image("data:image/png;base64,abcde"), "image_url.url", "invalid_value"),
        (
            image("data:application/zip;base64,/w=="),
            "image_url.url",
            "unsupported_image_media_type",
        ),
        ({"type": "image_url"}, "image_url", "missing_required_parameter"),
        ({"type": "input_image", "file_id": "file-1"}, "file_id", "unsupported_parameter"),
        ({"type": "file", "file": {"file_id": "f"}}, "file.file_id", "unsupported_parameter"),
        (file("/w==", "a.bin"), "file.file_data", "unsupported_image_media_type"),
        ({"type": "file", "file": {}}, "file.file_data", "missing_required_parameter"),
        (audio("aGk=", "midi"), "input_audio.format", None),
        (audio("?", "wav"), "input_audio.data", "invalid_value"),
    ],
)
def test_a_part_that_cannot_be_understood_is_named(
    part: object, param: str, code: str | None
) -> None:
    with pytest.raises(BadRequestError) as caught:
        read({"type": "text", "text": "first"}, part)
    assert caught.value.param == ".".join(filter(None, ("content[1]", param)))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (image("https://a.test/cat.png"), "content[0].image_url.url"),
        ({"type": "image_url", "image_url": "http://a.test/cat.png"}, "content[0].image_url"),
        ({"type": "input_file", "file_url": "https://a.test/cat.png"}, "content[0].file_url"),
    ],
)
def test_media_behind_an_address_is_left_to_be_fetched(part: Json, param: str) -> None:
    incoming = Incoming()
    (placeholder,) = read_parts(holding([part]), "content", incoming)
    (download,) = incoming.downloads
    assert download.part is placeholder
    assert (download.param, download.media) == (param, MEDIA)
    assert download.url.endswith("://a.test/cat.png")


@given(st.binary(min_size=1), st.booleans())
def test_any_bytes_survive_a_data_url(data: bytes, url_safe: bool) -> None:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    url = f"data:image/png;base64,{encode(data).decode().rstrip('=')}"
    (part,) = read(image(url))
    assert base64.b64decode(part["inlineData"]["data"], validate=True) == data


def test_text_only_content_refuses_media() -> None:
    assert read_text(holding([{"type": "text", "text": "a"}, "b"]), "content") == "a\nb"
    with pytest.raises(BadRequestError):
        read_text(holding([image("data:image/png;base64,aGk=")]), "content")


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("plain", "plain"),
        ('{"a": 1}', '{"a": 1}'),
        ("", ""),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ({"a": "ä"}, '{"a": "ä"}'),
        (4, "4"),
    ],
)
def test_a_result_is_text_and_never_parsed(content: object, output: str) -> None:
    part = function_response("a", "look", holding(content), "content", Incoming())
    assert part == {"functionResponse": {"id": "a", "name": "look", "response": {"output": output}}}


def test_an_image_in_a_result_is_nested_in_it() -> None:
    content = [{"type": "text", "text": "see"}, image("data:image/png;base64,aGk=")]
    answer = function_response("a", "look", holding(content), "content", Incoming())[
        "functionResponse"
    ]
    assert (answer["response"], answer["parts"]) == ({"output": "see"}, [PNG])


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ("", {}),
        (None, {}),
        ("null", {}),
        ("[1]", {"_raw": "[1]"}),
        ('{"a": ', {"_raw": '{"a": '}),
        ([1], {"_raw": "[1]"}),
        ("[" * 100_000, {"_raw": "[" * 100_000}),
        ('{"a": NaN}', {"_raw": '{"a": NaN}'}),
        ('{"a": -Infinity}', {"_raw": '{"a": -Infinity}'}),
        ('{"a": 1e999}', {"_raw": '{"a": 1e999}'}),
        (DEEP, {"_raw": DEEP}),
        ('{"a": "\udc80"}', {"a": "\udc80"}),
    ],
)
def test_arguments_of_any_kind_become_an_object(arguments: object, args: Json) -> None:
    assert read_arguments(arguments) == args


@given(JSON_VALUES)
def test_any_content_is_read_or_refused(content: object) -> None:
    with suppress(BadRequestError):
        assert all(
            isinstance(part, dict) for part in read_parts(holding(content), "content", Incoming())
        )
