"""Error bodies and request bodies."""

import pytest

from server.demo.errors import GoogleError
from tests.google.http import FakeRequest, RawError, parse_json, refused, respond


async def test_a_refusal_keeps_its_status_headers_and_body() -> None:
    error = GoogleError(429, "Slow down.")
    error.headers["a"] = "b"
    for one, body in ((error, error.body()), (RawError(429, b"<p>", "text/html"), b"<p>")):
        response = refused(one)
        assert (response.status, response.headers) == (429, one.headers)
        assert b"".join([piece async for piece in response.body]) == body


async def test_json_answers_are_utf8() -> None:
    response = respond({"a": "ü"})
    assert b"".join([piece async for piece in response.body]) == '{\n  "a": "ü"\n}'.encode()


@pytest.mark.parametrize(
    ("media_type", "body", "fine"),
    [
        ("application/json", b"{}", True),
        ("application/json; charset=UTF-8", b"{}", True),
        ("", b"", True),
        ("text/plain", b"{}", False),
        ("", b"{}", False),
        ("application/json", b"[1]", False),
        ("application/json", b"{'a': 1}", False),
    ],
)
def test_only_json_objects_are_bodies(media_type: str, body: bytes, fine: bool) -> None:
    request = FakeRequest(method="POST", path="/", headers={"content-type": media_type}, body=body)
    if fine:
        assert parse_json(request) == {}
    else:
        with pytest.raises(GoogleError, match="Invalid JSON payload"):
            parse_json(request)
