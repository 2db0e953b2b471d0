"""Error bodies of every shape Google's front ends are known to send."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.upstreams.refusals import (
    Refusal,
    delay_s,
    duration_s,
    error_object,
    loads,
    read_refusal,
)

NOW = 1_790_000_000.0
"""2026-09-21T14:13:20Z."""
ERROR = {"code": 503, "message": "Gone fishing.", "status": "UNAVAILABLE"}


def nested(levels: int) -> dict[str, object]:
    """An error inside ``message`` inside ``message`` ..."""
    body: dict[str, object] = {"error": ERROR}
    for _ in range(levels):
        body = {"error": {"code": 500, "message": json.dumps(body)}}
    return body


@pytest.mark.parametrize(
    "body",
    [
        {"error": ERROR},
        [{"error": ERROR}],
        nested(1),
        nested(4),
        {"error": {"code": 500, "message": json.dumps([{"error": ERROR}])}},
    ],
    ids=["object", "array", "nested", "nested-deep", "array-inside"],
)
def test_the_innermost_error_is_read(body: object) -> None:
    refusal = read_refusal(500, {}, json.dumps(body).encode())
    assert (refusal.code, refusal.message, refusal.status) == (503, "Gone fishing.", "UNAVAILABLE")


def test_a_message_that_only_looks_like_json_is_kept() -> None:
    body = json.dumps({"error": {"code": 400, "message": "{not json"}}).encode()
    assert read_refusal(400, {}, body).message == "{not json"


def test_stray_commas_do_not_hide_the_reason() -> None:
    body = (
        b'{"error": {"code": 429, "message": "m", "details": [{"@type": '
        b'"type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA_EXHAUSTED", '
        b'"domain": "cloudcode-pa.googleapis.com,"\n,\n, "metadata": {"a": "b",},}]}}'
    )
    refusal = read_refusal(429, {}, body)
    assert refusal.reason == "QUOTA_EXHAUSTED"
    assert refusal.metadata == {"a": "b"}


def test_an_oauth_style_error_is_read_too() -> None:
    body = b'{"error": "invalid_token", "error_description": "It is over."}'
    refusal = read_refusal(401, {}, body)
    assert (refusal.code, refusal.message) == (401, "It is over.")


def test_a_web_page_becomes_its_title() -> None:
    body = b"<!DOCTYPE html>\n<title>Error 502 (Server Error)!!1</title><p>Sorry</p>"
    refusal = read_refusal(502, {}, body)
    assert refusal.web_page
    assert refusal.message == "Error 502 (Server Error)!!1"


@pytest.mark.parametrize("body", [b"", b"oops", b"[]", b"17", b'{"ok": true}', b"\xff\xfe"])
def test_a_body_without_an_error_leaves_the_status(body: bytes) -> None:
    assert read_refusal(502, {}, body).code == 502


def test_the_status_word_counts_where_there_is_no_code() -> None:
    body = b'{"error": {"status": "RESOURCE_EXHAUSTED", "message": "m"}}'
    assert read_refusal(200, {}, body).code == 429


@given(st.binary(max_size=60))
def test_no_body_is_unreadable(body: bytes) -> None:
    assert read_refusal(500, {}, body).code >= 400


@given(st.recursive(st.none() | st.text() | st.integers(), st.lists, max_leaves=5))
def test_json_that_is_no_error_is_none(value: object) -> None:
    assert error_object(value) is None
    assert loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("373.801628ms", 0.373801628),
        ("33740.910400305s", 33740.910400305),
        ("9h22m20s", 33740.0),
        ("19h14m47.733s", 69287.733),
        ("5m", 300.0),
        ("60s", 60.0),
        ("", None),
        ("soon", None),
        ("1..2s", None),
        (None, None),
        (12, None),
    ],
)
def test_durations(text: object, seconds: float | None) -> None:
    assert duration_s(text) == (pytest.approx(seconds) if seconds is not None else None)


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}


@pytest.mark.parametrize(
    ("refusal", "seconds"),
    [
        (
            Refusal(429, "in 9s", metadata={"quotaResetDelay": "8s"}, details=(RETRY_INFO,)),
            7.0,
        ),
        (Refusal(429, "in 9s", metadata={"quotaResetDelay": "800ms"}), 0.8),
        (Refusal(429, "in 9s", metadata={"quotaResetTimeStamp": "2026-09-21T14:13:25Z"}), 5.0),
        (Refusal(429, "x", metadata={"quotaResetTimeStamp": "2020-01-01T00:00:00Z"}), 0.0),
        (Refusal(429, "Please retry in 12.5s."), 12.5),
        (Refusal(429, "Please retry in 250ms."), 0.25),
        (Refusal(429, "Your quota will reset after 39s."), 39.0),
        (Refusal(429, "Resets in 9h22m20s."), 33740.0),
        (Refusal(429, "It failed in 3 ways", headers={"retry-after": "11"}), 11.0),
        (Refusal(429, "no idea", headers={"retry-after": "tomorrow"}), None),
    ],
)
def test_the_first_source_that_says_a_delay_counts(refusal: Refusal, seconds: float | None) -> None:
    assert delay_s(refusal, NOW) == seconds
