"""Images of types that Gemini does not take (GIF, BMP, TIFF, AVIF, ...), made PNG.

Decoded in a thread, one at a time, the first frame of each; Pillow is imported when the first such
image comes. Why it is here: ``docs/decisions/0025-pictures-are-converted.md``.
"""

import base64
import io
import struct
from collections.abc import Iterable

from server.aside import Aside
from server.errors import BadRequestError
from server.gemini.media import DRAWINGS, PICTURES, stand_in
from server.gemini.types import Json, Picture
from server.limits import PICTURE_PIXELS, PICTURES_PIXELS

_FORMATS = ("GIF", "BMP", "DIB", "TIFF", "ICO", "AVIF", "JPEG2000", "PNG", "JPEG", "WEBP")
"""Pillow's names of what is decoded; nothing that would start another program."""
_UNREADABLE = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error),
    *(ArithmeticError, LookupError, TypeError, MemoryError, NotImplementedError),
)
"""What Pillow raises for broken files."""


class Pictures:
    """Changes the pictures of calls."""

    def __init__(self) -> None:
        self._thread = Aside(1, "pictures")

    async def convert(self, pictures: Iterable[Picture]) -> tuple[str, ...]:
        """Make PNGs of those that need it; the newest turn comes first.

        Returns the places of earlier turns where a line of text stands now. Raises
        ``BadRequestError`` naming the field for a picture of the newest turn.
        """
        left_out: list[str] = []
        room = PICTURES_PIXELS
        for picture in sorted(pictures, key=lambda picture: picture.earlier):
            blob = picture.part.get("inlineData", {})
            mime = str(blob.get("mimeType", ""))
            if not mime.startswith("image/") or mime in PICTURES:
                continue
            try:
                room -= await self._change(picture.part, mime, blob, room)
            except _UNREADABLE as error:
                problem = f"the image of type {mime} {_reason(error)}"
                if not picture.earlier:
                    raise _refused(picture, problem) from error
                left_out.append(picture.place)
                _replace(picture.part, stand_in(problem))
        return tuple(left_out)

    async def _change(self, part: Json, mime: str, blob: Json, room: int) -> int:
        """Change one part; the pixels it took."""
        data = base64.b64decode(blob["data"])
        if mime in DRAWINGS:
            _replace(part, {"text": data.decode("utf-8")})
            return 0
        png, pixels = await self._thread.run(lambda: to_png(data, min(room, PICTURE_PIXELS)))
        encoded = base64.b64encode(png).decode("ascii")
        _replace(part, {"inlineData": {"mimeType": "image/png", "data": encoded}})
        return pixels


def to_png(data: bytes, most_pixels: int) -> tuple[bytes, int]:
    """The first frame as PNG, and its pixels. Raises one of ``_UNREADABLE``."""
    from PIL import Image  # noqa: PLC0415  # 40 ms and 10 MB that few need

    Image.MAX_IMAGE_PIXELS = None  # the size is judged here, before anything is decoded
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        pixels = image.width * image.height
        if pixels > most_pixels:
            raise ValueError(f"is too large to be converted: {image.width} x {image.height} pixels")
        seen = image.convert("RGBA" if image.has_transparency_data else "RGB")
    png = io.BytesIO()
    seen.save(png, "PNG", compress_level=1)
    return png.getvalue(), pixels


def _reason(error: BaseException) -> str:
    told = str(error)
    return told if told.startswith("is too large") else "cannot be read"


def _refused(picture: Picture, problem: str) -> BadRequestError:
    known = ", ".join(name.removeprefix("image/").upper() for name in PICTURES)
    return BadRequestError(
        f"{picture.param}: {problem[:1].upper()}{problem[1:]}. Gemini takes {known}.",
        param=picture.param,
        code="unsupported_image_media_type",
    )


def _replace(part: Json, other: Json) -> None:
    part.clear()
    part.update(other)
