"""How much of anything foreign is taken in: one table, the same as in ``docs/limits.md``.

Whatever a client, Google or another program on this machine sends is bounded where it enters: in
bytes, number, depth and time. Sizes are in bytes, times in seconds. The phases of a request to
Google have theirs in ``upstreams/wire.py``, connections in ``connections.py``.
"""

MIB = 1024 * 1024

# Bodies of requests

BODY_BYTES = 32 * MIB
"""After decoding. Anthropic's own limit."""
BODIES_BYTES = 256 * MIB
"""Of the large bodies of all requests under way, from their first byte to the end of the answer."""
BODY_SILENCE_S = 60.0
"""How long a client may pause while it sends its body."""
BODY_S = 600.0
"""How long it may take in all: 32 MiB at 56 kB a second."""
BODY_DEPTH = 200
"""Levels of nesting: more than anybody needs (Google's own limit is half of it), and few enough to
be copied, compared and written again. It holds for Google's answers as well."""
BODY_FIELDS = 500_000
"""Objects, arrays and fields: each costs a tenth of a microsecond that no thread can share."""
BODY_VALUES = 4_000_000
"""Members of all objects and arrays."""
LARGE_BODY_BYTES = 256 * 1024
"""From here on a body is read, understood and written again outside the event loop."""
LARGE_BODY_OBJECTS = 1_000
"""And from this many objects on."""
VECTORS_AT_ONCE = 8
"""More vectors than these are made and written outside the event loop."""
VECTORS = 2048
"""Texts in one request for embeddings. OpenAI's own limit."""
VECTOR_LENGTH = 3072
"""Numbers in one vector: the most that Google's models give."""

# Stop sequences that are matched here, in every piece of an answer

STOPS = 100
STOP_CHARS = 4096
"""Of all of them."""

# Names and texts that a client or Google chooses, and that are kept, logged or shown

NAME_CHARS = 1024
"""Of a model's name. A longer one is unknown, whatever UNKNOWN_MODEL says."""
CLIENT_CHARS = 64
"""Of the name of a calling program."""
MESSAGE_CHARS = 4096
"""Of an error's message; of the field it names, an eighth."""
HEADER_CHARS = 1000
"""Of a header that repeats what a client sent; of ``x-proxy-dropped``, whole names."""
DROPPED_CHARS = 32 * 1024
"""Of the names of fields that were not passed on, kept with a request's row; whole names."""
LOG_CHARS = 8192
"""Of one entry of the log, traceback included."""
LOG_ENTRIES = 300
"""Kept in memory for the log page."""
NAMES_COUNTED = 500
"""Programs, and models, that are counted by name; the rest are ``other``."""
TOOL_ID_CHARS = 512
"""Of a tool call's id under which a signature may be kept."""
SIGNATURES = 20_000
SIGNATURES_BYTES = 64 * MIB
"""Kept on disk."""
SIGNATURES_IN_MEMORY = 2_000
SIGNATURES_IN_MEMORY_BYTES = 8 * MIB
RESPONSES = 200
RESPONSES_BYTES = 64 * MIB
INSPECTED = 50
"""Requests that the inspector keeps."""
INSPECTED_CHARS = 256 * 1024
"""Of each side of one of them."""
INSPECTED_CHARS_IN_ALL = 16 * MIB

# Schemas of tools and answers

SCHEMA_UNFOLDED_BYTES = 256 * 1024
"""What the references of one schema may unfold to, beyond its own size."""
SCHEMAS_UNFOLDED_BYTES = MIB
"""The same for all schemas of one request."""
SCHEMA_UNFOLDED_NODES = 5_000
"""Schema positions behind references, in one schema."""
HINT_CHARS = 500
"""Of one constraint told in a description."""
REPAIRS = 4_000
"""Remembered of what Google took only when it was mended: schemas, signatures, thinking, media."""

# Downloads of the pictures and documents that a request names by address

DOWNLOAD_BYTES = 20 * MIB
"""Of one file."""
DOWNLOADS_BYTES = 40 * MIB
"""Of all files of one request."""
PICTURE_PIXELS = 32_000_000
"""Of an image that is converted to PNG."""
PICTURES_PIXELS = 96_000_000
"""Of all those of a request."""
DEAD_ADDRESSES = 256
"""Addresses remembered because nothing could be had there."""
DEAD_S = 600.0
"""How long one of an earlier turn is not tried again."""
DOWNLOADS = 500
"""Files that one request may name."""
DOWNLOADS_AT_ONCE = 4
"""Files that one request fetches side by side; the others wait."""
DOWNLOAD_S = 15.0
"""From the look-up of the name to the last byte of one file."""
REDIRECTS = 3
ADDRESS_CHARS = 8192
"""Of the address of a file."""
LOOKUPS_AT_ONCE = 16
"""Names being looked up, each in a thread of its own: twice, for downloads and for the rest."""

# The tray's own socket, on loopback

DESK_LINE_BYTES = 64 * 1024
"""Of one message."""
DESK_SILENT = 16
"""Connections that have not shown the token yet, each with a thread."""


def cut(text: str, most: int) -> str:
    """``text``, at most ``most`` characters of it."""
    return text if len(text) <= most else text[: most - 1] + "…"
