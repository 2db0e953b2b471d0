"""How much of anything foreign is taken in: one table, the same as in ``docs/limits.md``.

Whatever a client, Google or another program on this machine sends is bounded where it enters: in
bytes, number, depth and time. Sizes are in bytes, times in seconds. The phases of a request to
Google have theirs in ``upstreams/wire.py``, connections in ``connections.py``.
"""

MIB = 1024 * 1024

# Downloads of the pictures and documents that a request names by address

DOWNLOAD_BYTES = 20 * MIB
"""Of one file."""
DOWNLOADS_BYTES = 40 * MIB
"""Of all files of one request."""
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
