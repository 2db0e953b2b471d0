"""What is foreign is bounded where it enters: the whole program, beside honest callers."""

from pathlib import Path
from typing import Any

import pytest

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
