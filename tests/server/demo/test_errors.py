"""Error bodies."""

import json

from server.demo.errors import GoogleError, bad_request


def test_an_error_has_googles_shape() -> None:
    error = GoogleError(429, "Slow down.", {"@type": "x"})
    assert error.headers["content-type"].startswith("application/json")
    assert json.loads(error.body()) == {
        "error": {
            "code": 429,
            "message": "Slow down.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "x"}],
        }
    }


def test_field_violations_name_field_and_reason() -> None:
    assert bad_request(("f", "d"))["fieldViolations"] == [{"field": "f", "description": "d"}]
