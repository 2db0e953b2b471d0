"""``.env`` files changed in place. Format: the npm package dotenv, which Gemini CLI reads with."""

import re

from server.connect.edits import Addition, CannotEditError, Data, Item, Way

_LINE = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)[ \t]*=[ \t]*"
    r"(?P<value>'(?:\\'|[^'])*'|\"(?:\\\"|[^\"])*\"|`(?:\\`|[^`])*`|[^#\n]*)",
    re.MULTILINE,
)
_BARE = re.compile(r"[A-Za-z0-9_./:@+-]*")


def parse(text: str) -> Data:
    """Names and values; of a repeated name the last one."""
    return {match["name"]: _value(match["value"]) for match in _LINE.finditer(text)} or None


def edit(text: str, change: Addition) -> str:
    """The text with one change in it."""
    if isinstance(change, Item) or len(change.path) != 1:
        raise CannotEditError("A .env file has names and values only.")
    name, value = change.path[0], str(change.value)
    if not _BARE.fullmatch(value):
        if "'" in value or "\n" in value:
            raise CannotEditError(f"{name} cannot be written into a .env file.")
        value = f"'{value}'"
    found = [match for match in _LINE.finditer(text) if match["name"] == name]
    if not found:
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{name}={value}\n"
    start, end = found[-1].span("value")
    old = found[-1]["value"]
    return text[:start] + value + old[len(old.rstrip()) :] + text[end:]


def drop(text: str, path: Way) -> str:
    """The text without the lines of one name."""
    for match in reversed([match for match in _LINE.finditer(text) if match["name"] == path[0]]):
        if text[match.end() : match.end() + 1] not in ("", "\n"):
            raise CannotEditError("There is a comment behind it.")
        text = text[: match.start()] + text[match.end() + 1 :]
    return text


def _value(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"`":
        return text[1:-1]
    return text
