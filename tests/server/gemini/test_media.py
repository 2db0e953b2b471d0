"""Addresses that Google reads itself are known; all others are not."""

import pytest

from server.gemini.media import address_kind, stand_in


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ", "youtube"),
        ("https://youtube.com/watch?list=a&v=b", "youtube"),
        ("https://m.youtube.com/watch?v=b&t=3", "youtube"),
        ("HTTPS://YOUTU.BE/dQw4w9WgXcQ?t=1", "youtube"),
        ("https://www.youtube.com/shorts/abc-_1", "youtube"),
        ("https://www.youtube.com/live/abc", "youtube"),
        ("https://www.youtube.com/embed/abc", "youtube"),
        ("https://www.youtube.com/", None),
        ("https://youtu.be/", None),
        ("https://img.youtube.com/vi/abc/0.jpg", None),
        ("https://youtube.com.evil.test/watch?v=a", None),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc-123", "files"),
        ("https://generativelanguage.googleapis.com/v1/files/abc", "files"),
        ("https://generativelanguage.googleapis.com/v1beta/models/abc", None),
        ("https://evil.test/v1beta/files/abc", None),
        ("http://127.0.0.1:99/v1beta/files/abc", "files"),
        ("gs://bucket/a%20b.mp4", "gs"),
        ("GS://bucket/a", "gs"),
        ("https://storage.googleapis.com/bucket/a", None),
        ("http://[::1/", None),
        ("ftp://youtu.be/abc", None),
        ("", None),
    ],
)
def test_kinds_of_addresses(url: str, kind: str | None) -> None:
    assert address_kind(url, "127.0.0.1:99") == kind


def test_a_line_says_why() -> None:
    assert stand_in("it is gone") == {
        "text": "[Left out here, because it cannot be used: it is gone]"
    }
