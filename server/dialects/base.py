"""What a client-facing API family is made of.

A dialect is one package of pure functions: parse -> encode -> stream -> errors -> ``DIALECT``. It
knows no socket and no upstream. Adding one is that package and its line in ``DIALECTS``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from server.dialects.losses import Loss
from server.errors import ProxyError
from server.gemini.events import Event
from server.gemini.models import Model
from server.gemini.types import Call, Count, EmbedCall, Embedding, Json


@dataclass(frozen=True, slots=True)
class Params:
    """What a request says besides its body."""

    path: Mapping[str, str] = field(default_factory=dict)
    """Values of the route's placeholders, percent-decoded."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    recall: Callable[[str], Json | None] = lambda name: None
    """The kept ``Record`` of this id, or the one that holds an item of this id."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a dialect wants kept of an answer, for later requests that name it."""

    id: str
    body: Json
    items: tuple[str, ...] = ()
    """Ids of what is inside, under which it can be recalled as well."""


class StreamEncoder(Protocol):
    """Events of one call in, bytes of the client's stream out."""

    media_type: str

    def feed(self, event: Event) -> bytes:
        """The frames this event becomes; often none."""
        ...

    def keep_alive(self) -> bytes:
        """Something every client of this dialect ignores."""
        ...

    def finish(self) -> bytes:
        """The frames that end the stream; called once, after the last ``Finish``."""
        ...

    def fail(self, error: ProxyError) -> bytes:
        """The dialect's own in-stream error; nothing follows it."""
        ...


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask the model for an answer; ``encode`` is the fold of what ``encoder`` streams."""

    parse: Callable[[Json, Params], Call]
    encode: Callable[[Call, Sequence[Event]], Json]
    encoder: Callable[[Call], StreamEncoder]
    keep: Callable[[Call], Record | None] = lambda call: None
    """What to keep of a call, asked once its answer is encoded to the end."""
    in_stream: Callable[[Call, ProxyError], bool] = lambda call, error: False
    """Whether a failure before the first byte is told in the stream all the same, after a 200: for
    clients that would repeat what cannot succeed."""


@dataclass(frozen=True, slots=True)
class CountTokens:
    """Count the tokens of what would be sent."""

    parse: Callable[[Json, Params], Call]
    encode: Callable[[Count], Json]


@dataclass(frozen=True, slots=True)
class ListModels:
    """List the models of the chosen upstream and account, aliases included."""

    encode: Callable[[Sequence[Model], Params], Json]


@dataclass(frozen=True, slots=True)
class GetModel:
    """Describe the one model named in the path placeholder ``id``."""

    encode: Callable[[Model], Json]


@dataclass(frozen=True, slots=True)
class Embed:
    """Turn texts into vectors."""

    parse: Callable[[Json, Params], EmbedCall]
    encode: Callable[[EmbedCall, Embedding], Json]


@dataclass(frozen=True, slots=True)
class Recall:
    """Show (a part of) the ``Record`` named in the path placeholder ``id``."""

    encode: Callable[[Json, Params], Json]


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete the ``Record`` named in the path placeholder ``id``."""

    encode: Callable[[str], Json]


Operation = Generate | CountTokens | ListModels | GetModel | Embed | Recall | Forget


@dataclass(frozen=True, slots=True)
class Route:
    """One address of a dialect. ``{id}`` in the path matches what stands there; at the end of the
    path the rest, slashes included."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Dialect:
    """One client API family."""

    name: str
    routes: tuple[Route, ...]
    encode_error: Callable[[ProxyError, str], tuple[int, Json]]
    """(error, request id) -> (HTTP status, body)."""
    speaks: Callable[[Mapping[str, str]], bool] = lambda headers: False
    """Whether these request headers can only be those of this dialect's clients; decides where two
    dialects share an address, and how errors outside any route are worded."""
    losses: tuple[Loss, ...] = ()
    """What requests of this dialect lose; none for Gemini's own."""
    request_id_header: str = "x-request-id"
    """A second header under which the dialect's SDKs look for the request id."""
