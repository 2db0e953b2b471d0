"""Images that Gemini does not take become PNG; what cannot be read is named or left out."""

import base64
import io
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image

from server.core import pictures as module
from server.core.pictures import Pictures, to_png
from server.errors import BadRequestError
from server.gemini.types import Json, Picture


def image(form: str, size: tuple[int, int] = (3, 2), mode: str = "RGB", **more: Any) -> bytes:
    data = io.BytesIO()
    Image.new(mode, size, 1).save(data, form, **more)
    return data.getvalue()


def part(data: bytes, mime: str = "image/gif") -> Json:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}


def noted(made: Json, *, earlier: bool = False) -> Picture:
    return Picture(part=made, param="messages[0].content[0]", earlier=earlier, place="messages[]")


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "ICO", "AVIF", "JPEG2000"])
async def test_other_types_become_png(form: str) -> None:
    made = part(image(form, (32, 32)), f"image/{form.lower()}")
    assert await Pictures().convert([noted(made)]) == ()
    assert made["inlineData"]["mimeType"] == "image/png"
    with Image.open(io.BytesIO(base64.b64decode(made["inlineData"]["data"]))) as png:
        assert (png.format, png.size) == ("PNG", (32, 32))


async def test_what_gemini_takes_is_left_alone() -> None:
    made = part(b"whatever", "image/webp")
    before = {**made}
    await Pictures().convert([noted(made)])
    assert made == before


def test_the_first_frame_counts_and_transparency_stays() -> None:
    frames = [Image.new("RGBA", (2, 2), colour) for colour in ("red", "blue")]
    frames[0].putpixel((0, 0), (0, 0, 0, 0))
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    png, pixels = to_png(data.getvalue(), 100)
    assert pixels == 4
    with Image.open(io.BytesIO(png)) as seen:
        assert seen.mode == "RGBA"
        assert seen.getpixel((1, 1)) == (255, 0, 0, 255)
        assert seen.getpixel((0, 0))[3] == 0  # type: ignore[index]


async def test_a_drawing_in_words_is_text() -> None:
    made = part(b"<svg/>", "image/svg+xml")
    await Pictures().convert([noted(made)])
    assert made == {"text": "<svg/>"}


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"nonsense", image("GIF")[:20], b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
async def test_what_cannot_be_read_is_refused_or_left_out(data: bytes) -> None:
    with pytest.raises(BadRequestError, match="image/gif cannot be read") as told:
        await Pictures().convert([noted(part(data))])
    assert told.value.param == "messages[0].content[0]"
    made = part(data)
    assert await Pictures().convert([noted(made, earlier=True)]) == ("messages[]",)
    assert made["text"].startswith("[Left out here, because it cannot be used: the image of type")


async def test_what_is_too_large_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PICTURE_PIXELS", 5)
    with pytest.raises(BadRequestError, match="too large to be converted: 3 x 2 pixels"):
        await Pictures().convert([noted(part(image("GIF")))])


async def test_all_of_a_request_have_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest come first, wherever they stand."""
    monkeypatch.setattr(module, "PICTURES_PIXELS", 10)
    old, new = part(image("GIF")), part(image("GIF"))
    left = await Pictures().convert([noted(old, earlier=True), noted(new)])
    assert left == ("messages[]",)
    assert "text" in old
    assert new["inlineData"]["mimeType"] == "image/png"


def test_a_bomb_is_judged_by_its_header() -> None:
    with pytest.raises(ValueError, match="30000 x 30000"):
        to_png(image("BMP", (1, 1)).replace(b"\1\0\0\0\1\0\0\0", b"\x30\x75\0\0\x30\x75\0\0"), 100)


def test_pillow_is_imported_when_it_is_needed() -> None:
    code = "import sys, server.core.pictures; print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
