"""Error bodies and request bodies."""

import json

import pytest

from server.google_fake.http import FakeRequest, GoogleError, bad_request, parse_json, respond


async def test_an_error_has_googles_shape() -> None:
    response = GoogleError(429, "Slow down.", {"@type": "x"}, headers={"a": "b"}).response()
    body = b"".join([piece async for piece in response.body])
    assert (response.status, response.headers["a"]) == (429, "b")
    assert json.loads(body) == {
        "error": {
            "code": 429,
            "message": "Slow down.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "x"}],
        }
    }


async def test_json_answers_are_utf8() -> None:
    response = respond({"a": "ü"})
    assert b"".join([piece async for piece in response.body]) == '{\n  "a": "ü"\n}'.encode()


def test_field_violations_name_field_and_reason() -> None:
    assert bad_request(("f", "d"))["fieldViolations"] == [{"field": "f", "description": "d"}]


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
