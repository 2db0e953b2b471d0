"""What is answered to bytes that are no HTTP request: an error like any other, with an id."""

import logging

from server.dialects import DIALECTS
from server.edge.routes import Routes
from server.errors import BadRequestError, HeadTooLargeError, NotOfferedError, ProxyError
from server.gemini.types import new_id
from server.json_codec import dumps

log = logging.getLogger(__name__)

Answer = tuple[list[tuple[bytes, bytes]], bytes]
"""Headers and body."""

_ROUTES = Routes(DIALECTS)


def malformed(status: int, begun: bytes) -> Answer:
    """The answer with ``status`` (400, 431 or 501) to a request of which ``begun`` was read first:
    its address, where it can be made out, decides the dialect."""
    method, _, rest = begun.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    dialect = _ROUTES.dialect_of(method, path, {})
    name = new_id("req_")
    _, body = dialect.encode_error(_error(status), name)
    log.warning("%s %s %s: not a request that can be read", name, dialect.name, status)
    ids = dict.fromkeys(("x-request-id", dialect.request_id_header), name)
    given = {"content-type": "application/json", **ids, "connection": "close"}
    data = dumps(body)
    headers = [(key.encode(), value.encode()) for key, value in given.items()]
    return [*headers, (b"content-length", str(len(data)).encode())], data


def _error(status: int) -> ProxyError:
    if status == 431:
        return HeadTooLargeError("The head of the request is larger than 64 KiB.")
    if status == 501:
        return NotOfferedError("This Transfer-Encoding is not served; send chunked or none.")
    return BadRequestError("The request cannot be read as HTTP.")
