"""Media in requests: base64, ``data:`` URLs and addresses -> Gemini parts.

What cannot be used is an error in the newest turn. In an earlier one a line of text stands in its
place, so that it does not make every later turn fail (contract section 6). Sources: RFC 2397;
Gemini API reference, *Image understanding*, *Technical details*.
"""

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeVarTuple
from urllib.parse import unquote, unquote_to_bytes

from server.dialects.fields import place, wrong
from server.errors import BadRequestError
from server.gemini.media import DRAWINGS, MEDIA, PICTURES, stand_in
from server.gemini.types import Download, Json, Picture

_SAME = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/mp3": "audio/mpeg",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-aac": "audio/aac",
    "video/x-m4v": "video/mp4",
    "application/x-pdf": "application/pdf",
}
"""Other names for what Gemini takes."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]+")
_URL_SAFE = str.maketrans("-_", "+/")
BAD_MEDIA = "unsupported_image_media_type"
BAD_URL = "invalid_image_url"

_Given = TypeVarTuple("_Given")


Speaker = Literal["user", "result", "other"]
"""Whose message it is: the user's, a tool's, or neither's."""


def newest_turn(count: int, speaker: Callable[[int], Speaker]) -> int:
    """Where the newest turn begins, of ``count`` messages: at the last thing the user said, or at
    the first of the results that end the conversation.

    What failed was never answered, so the user's next message stands right behind it.
    """
    last = max(count - 1, 0)
    while last and speaker(last) == "other":
        last -= 1
    while last and speaker(last) == speaker(last - 1) == "result":
        last -= 1
    return last


@dataclass(slots=True)
class Incoming:
    """What the messages of one request bring besides text."""

    downloads: list[Download] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    past_media: list[Json] = field(default_factory=list)
    """Media parts of earlier turns."""
    left_out: list[str] = field(default_factory=list)
    """Paths of parts in place of which a line of text stands."""
    earlier: bool = False
    """Whether the message being read belongs to an earlier turn."""
    plain: Callable[[str], str] = str
    """Takes out of a path what is no field."""
    _path: str = ""
    """Of the part being read."""

    def usable(
        self, path: str, read: Callable[[*_Given], Iterable[Json]], *given: *_Given
    ) -> list[Json]:
        """The parts that ``read`` gives of the content at ``path``; in an earlier turn a line of
        text where it raises ``BadRequestError``."""
        around, self._path = self._path, path
        try:
            return list(read(*given))
        except BadRequestError as error:
            if not self.earlier:
                raise
            self.left_out.append(self._place())
            return [stand_in(error.message.removeprefix(f"{error.param}: "))]
        finally:
            self._path = around

    def _noted(self, part: Json) -> Json:
        if self.earlier:
            self.past_media.append(part)
        return part

    def _place(self) -> str:
        """Of the part being read, as ``x-proxy-dropped`` names it."""
        return place(self.plain(self._path))

    def media(self, mime: str, data: str, path: str) -> Json:
        """Strict base64 ``data`` as the part Gemini takes for this type."""
        mime = _SAME.get(mime, mime)
        if not mime.startswith(MEDIA) or mime in DRAWINGS:
            return {"text": _as_text(data, path)}
        part = self._noted({"inlineData": {"mimeType": mime, "data": data}})
        if mime.startswith("image/") and mime not in PICTURES:
            self.pictures.append(
                Picture(part=part, param=path, earlier=self.earlier, place=self._place())
            )
        return part

    def data_url(self, url: str, path: str, usual: str) -> Json:
        """``data:[<type>][;<parameter>]*[;base64],<data>``; ``usual`` is the type if unsaid.

        Tolerates what clients send: parameters, url-safe or unpadded base64, percent-encoding.
        """
        head, comma, data = url[5:].partition(",")
        if not comma or not data.strip():
            raise wrong(path, "This data: URL has no data", code=BAD_URL)
        mime, *parameters = [word.strip().lower() for word in head.split(";")]
        if mime in ("", "application/octet-stream"):
            mime = usual
        if "base64" in parameters:
            return self.media(mime, strict_base64(data, path), path)
        return self.media(mime, base64.b64encode(unquote_to_bytes(data)).decode(), path)

    def linked(self, url: str, path: str, media: tuple[str, ...], mime: str | None = None) -> Json:
        """The part for an address: an empty one, to be filled once the upstream is known."""
        scheme = url.partition(":")[0].lower()
        if scheme not in ("http", "https", "gs"):
            problem = "Input should be an http(s) or gs:// address or a data: URL"
            raise wrong(path, problem, code=BAD_URL)
        part = self._noted({"inlineData": {}})
        self.downloads.append(
            Download(
                part=part,
                url=url,
                param=path,
                media=media,
                mime=mime,
                earlier=self.earlier,
                place=self._place(),
            )
        )
        return part


def strict_base64(data: str, path: str) -> str:
    """``data`` as strict, padded base64. Raises ``BadRequestError`` naming the field."""
    if "%" in data:
        data = unquote(data)
    bare = "".join(data.split()).rstrip("=").translate(_URL_SAFE)
    if not _BASE64.fullmatch(bare) or len(bare) % 4 == 1:
        raise wrong(path, "Input should be valid base64", code="invalid_value")
    return bare + "=" * (-len(bare) % 4)


def _as_text(data: str, path: str) -> str:
    """UTF-8 text; archives and other programs' documents hold zero bytes, which no text does."""
    content = base64.b64decode(data)
    if b"\0" not in content:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            pass
    problem = "This content cannot be read: it is neither media that Gemini takes nor text in UTF-8"
    raise wrong(path, problem, code=BAD_MEDIA)
