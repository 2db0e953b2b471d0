"""Where the doors of the cloud are stricter than the Gemini API, and whose signatures each takes.

Code Assist is a door of the cloud, like Vertex AI; the Gemini API is a backend apart.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from server.demo import rules, turns
from server.demo.errors import Json, invalid
from server.demo.signatures import GEMINI_API, Signer
from tests.google.catalogue import FakeModel
from tests.google.messages import Door

_CLOUD = replace(GEMINI_API, secret=b"the cloud of gemini-api-proxy")
SIGNERS: Mapping[Door, Signer] = {
    "gemini-api": GEMINI_API,
    "vertex": replace(_CLOUD, refusal="Invalid thought signature."),
    "code-assist": _CLOUD,
}


def check(request: Json, model: FakeModel, door: Door, *, streams: bool = True) -> None:
    """Refuse ``request`` (already read as a message) if Google would behind this door."""
    contents = request.get("contents", [])
    if door != "gemini-api":
        _check_roles(contents)
    if door == "code-assist":
        _check_alternation(contents)
    rules.check(request, model, streams=streams, signer=SIGNERS[door])


def check_contents(contents: list[Json], door: Door) -> None:
    """Each content by itself; all that ``countTokens`` looks at."""
    if door != "gemini-api":
        _check_roles(contents)
    turns.check_contents(contents)


def _check_roles(contents: list[Json]) -> None:
    """Only the Gemini API reads a missing role as the user's."""
    if not all("role" in content for content in contents):
        raise invalid("Please use a valid role: user, model.")


def _check_alternation(contents: list[Json]) -> None:
    """A streamed answer that comes back in pieces is refused."""
    for before, content in pairwise(contents):
        if before["role"] == content["role"]:
            raise invalid("Please ensure that multiturn requests alternate between user and model.")
