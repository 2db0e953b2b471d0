"""What Gemini takes besides text: types of data, and addresses that Google reads itself.

Sources: Gemini API reference, *Image understanding* (types), *Video understanding* (YouTube),
*Files*; Vertex AI, *FileData*.
"""

import re
from typing import Literal, get_args
from urllib.parse import urlsplit

from server.gemini.types import Json

MEDIA = ("image/", "audio/", "video/", "application/pdf")
"""Content types Gemini takes as data; anything else is sent as text, if it is text."""
PICTURES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
"""Images that Gemini takes as they are."""
DRAWINGS = ("image/svg+xml",)
"""Images that are text."""

Address = Literal["youtube", "files", "gs"]
"""Kinds of address that Google reads itself."""
ADDRESSES: tuple[Address, ...] = get_args(Address)
WORDS: dict[Address, str] = {
    "youtube": "a YouTube video",
    "files": "a file of the Gemini Files API",
    "gs": "a file of Google Cloud Storage",
}

_YOUTUBE = ("youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com")
_VIDEO = re.compile(r"/(?:shorts|live|embed|v)/[\w-]+")
_FILE = re.compile(r"/v\d\w*/files/[\w-]+")
_GOOGLE_FILES = "generativelanguage.googleapis.com"
FILES = f"https://{_GOOGLE_FILES}/v1beta/"
"""What stands before the name of a file (``files/abc``) in its address."""


def address_kind(url: str, files_host: str = "") -> Address | None:
    """Which kind of address ``url`` is; ``files_host``: where else the Files API is served."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    if parts.scheme.lower() == "gs":
        return "gs"
    if parts.scheme.lower() not in ("http", "https"):
        return None
    if host == "youtu.be" and len(parts.path) > 1:
        return "youtube"
    watched = parts.path == "/watch" and "v=" in parts.query
    if host in _YOUTUBE and (watched or _VIDEO.match(parts.path)):
        return "youtube"
    ours = host == _GOOGLE_FILES or (files_host and parts.netloc.lower() == files_host.lower())
    return "files" if ours and _FILE.match(parts.path) else None


def stand_in(problem: str) -> Json:
    """The line of text in place of a part that cannot be used."""
    return {"text": f"[Left out here, because it cannot be used: {problem}]"}
