"""What a request brings besides text, made into what the upstream in use takes.

Addresses that Google reads itself go as they are; other files are fetched; images of other types
become PNG. What cannot be had is an error in the newest turn, and a line of text in earlier ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from server.core.downloads import Fetcher
from server.core.pictures import Pictures
from server.errors import BadRequestError
from server.gemini.media import WORDS, Address, address_kind, stand_in
from server.gemini.types import Call, Download, Picture
from server.upstreams import UPSTREAMS


@dataclass(slots=True)
class Attachments:
    """Settles the media of calls."""

    fetcher: Fetcher
    pictures: Pictures = field(default_factory=Pictures)

    async def settle(self, call: Call, upstream: str, files_base: str) -> tuple[str, ...]:
        """Fill the parts of ``call`` for ``upstream``; ``files_base``: the Gemini API's base URL.

        Returns the places of earlier turns where a line of text stands now. Raises
        ``BadRequestError`` naming the field.
        """
        if not call.downloads and not call.pictures:
            return ()
        left_out, pending = _addressed(call.downloads, upstream, urlsplit(files_base).netloc)
        left_out += await self.fetcher.inline(pending)
        fetched = [
            Picture(part=d.part, param=d.param, earlier=d.earlier, place=d.place) for d in pending
        ]
        left_out += await self.pictures.convert([*call.pictures, *fetched])
        return tuple(left_out)


def _addressed(
    downloads: Iterable[Download], upstream: str, files_host: str
) -> tuple[list[str], list[Download]]:
    """Write the addresses that Google reads; what was left out, and what is still to be fetched."""
    door = UPSTREAMS.get(upstream)
    reads = door.addresses if door else ()
    left_out: list[str] = []
    pending: list[Download] = []
    for download in downloads:
        kind = address_kind(download.url, files_host)
        if kind is None:
            pending.append(download)
        elif kind in reads:
            named = {"mimeType": download.mime} if download.mime else {}
            download.part.clear()
            download.part["fileData"] = {**named, "fileUri": download.url}
        elif download.earlier:
            left_out.append(download.place)
            download.part.clear()
            download.part |= stand_in(_unread(kind, upstream))
        else:
            problem = f"{download.param}: {_unread(kind, upstream)}"
            raise BadRequestError(problem, param=download.param, code="invalid_image_url")
    return left_out, pending


def _unread(kind: Address, upstream: str) -> str:
    able = [f"{door.name} ({door.title})" for door in UPSTREAMS.values() if kind in door.addresses]
    return (
        f"The upstream {upstream} cannot read {WORDS[kind]} by its address; "
        f"it works with {' or '.join(able)}"
    )
