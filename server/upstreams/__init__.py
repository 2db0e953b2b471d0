"""The registry of Google doors, in the order ``auto`` prefers them."""

from server.upstreams.base import Door
from server.upstreams.code_assist import DOOR as CODE_ASSIST
from server.upstreams.demo import DOOR as DEMO
from server.upstreams.gemini_api import DOOR as GEMINI_API
from server.upstreams.vertex import DOOR as VERTEX

UPSTREAMS: dict[str, Door] = {door.name: door for door in (CODE_ASSIST, GEMINI_API, VERTEX, DEMO)}
