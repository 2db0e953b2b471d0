"""The registry of Google doors, in the order ``auto`` prefers them."""

from server.upstreams import code_assist, demo, gemini_api
from server.upstreams.base import Door

UPSTREAMS: dict[str, Door] = {
    door.name: door for door in (code_assist.DOOR, gemini_api.DOOR, demo.DOOR)
}
