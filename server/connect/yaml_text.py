"""YAML changed in place: ruamel.yaml says where things stand, and only characters of ours move.

ruamel's own round trip would re-indent lists, re-wrap long lines and normalise quotes all over the
user's file. Supported is what our tools need: a key of the top level, and an entry of a list that
is the whole file or stands under such a key. Everything else is refused.
"""

import json
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from server.connect.edits import Addition, CannotEditError, Data, Item, Put, Way

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:+-]*(?: [A-Za-z0-9_(][A-Za-z0-9_./:+)-]*)*")
_TAKEN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""Words that some YAML version reads as something else than text."""


def _yaml() -> Any:
    return YAML(typ="safe", pure=True)


def parse(text: str) -> Data:
    """What the text says; None for nothing. Raises ``CannotEditError``."""
    try:
        return _yaml().load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f": line {mark.line + 1}" if mark else ""
        raise CannotEditError(f"It is not valid YAML{where}.") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise CannotEditError(f"It cannot be read as YAML: {error}.") from error


def edit(text: str, change: Addition) -> str:
    """The text with one change in it."""
    if len(change.path) > 1:
        raise CannotEditError("Only the top level of a YAML file is changed.")
    try:
        root = _yaml().compose(text)
    except YAMLError as error:
        raise CannotEditError("It is not valid YAML.") from error
    if root is None or _is_null(root):
        return _appended(text, _fresh(change))
    if isinstance(change, Item) and not change.path:
        return _in_list(text, root, change)
    if not isinstance(root, MappingNode) or root.flow_style:
        raise CannotEditError("The file is not a YAML mapping in block style.")
    found = next((pair for pair in reversed(root.value) if pair[0].value == change.path[0]), None)
    column = int(root.start_mark.column)
    if found is None:
        return _after(text, _end(root), _lines(_fresh(change), column))
    key, value = found
    if _is_null(value) and _start(value) == _end(value):  # nothing behind the colon
        if isinstance(change, Item):
            return _after(text, _end(key), _lines(_entry(change.value), column + 2))
        colon = text.index(":", _end(key)) + 1
        return f"{text[:colon]} {_scalar(change.value)}{text[colon:]}"
    if isinstance(change, Item):
        return _in_list(text, value, change, under=root)
    return _replaced(text, value, change.value)


def drop(text: str, path: Way) -> str:
    """The text without a key of the top level, or without an entry of a list."""
    node: Node | None = _yaml().compose(text)
    first: Node | None = None
    for step in path:
        if isinstance(node, MappingNode) and not node.flow_style and step == path[0]:
            first, node = next(pair for pair in node.value if pair[0].value == step)
        elif isinstance(node, SequenceNode) and not node.flow_style and step == path[-1]:
            if len(node.value) == 1 and first is not None:
                return text[: text.index(":", _end(first)) + 1] + " []" + text[_end(node) :]
            first = node = node.value[int(step)]
        else:
            raise CannotEditError("It is written in a way that cannot be taken out.")
    if node is None or first is None:
        raise CannotEditError("There is nothing to take out.")
    start = text.rfind("\n", 0, _start(first)) + 1
    end = text.find("\n", max(_end(node), _end(first)))
    if text[start : _start(first)].strip(" ") != ("-" if first is node else ""):
        raise CannotEditError("It shares its line with something else.")
    return text[:start] + (text[end + 1 :] if end >= 0 else "")


def _fresh(change: Addition) -> list[str]:
    """The change as a piece of YAML of its own."""
    if isinstance(change, Put):
        return _pair(change.path[0], change.value)
    entry = _entry(change.value)
    return [f"{change.path[0]}:", *(f"  {line}" for line in entry)] if change.path else entry


def _in_list(text: str, node: Node, change: Item, under: Node | None = None) -> str:
    if under is not None and (_is_null(node) or _empty(node)):
        column = int(under.start_mark.column) + 2
        lines = "\n" + "\n".join(_lines(_entry(change.value), column))
        return _spliced(text, node, lines, strip=True)
    if under is None and _empty(node):
        return _spliced(text, node, "\n".join(_entry(change.value)))
    if not isinstance(node, SequenceNode) or node.flow_style or not node.value:
        raise CannotEditError("The list is not written as a YAML block, one entry a line.")
    column = node.start_mark.column
    said = parse(text)
    index = change.place(said if under is None else said[change.path[0]])
    if index is None:
        return _after(text, _end(node), _lines(_entry(change.value), column))
    child = node.value[index]
    body = [line[2:] for line in _entry(change.value)]
    inner = "\n".join([body[0], *_lines(body[1:], child.start_mark.column)])
    return _spliced(text, child, inner)


def _replaced(text: str, node: Node, value: Data) -> str:
    if not isinstance(node, ScalarNode) or node.style in ("|", ">"):
        raise CannotEditError("A setting of ours has a value of another kind there.")
    return _spliced(text, node, _scalar(value))


def _spliced(text: str, node: Node, instead: str, *, strip: bool = False) -> str:
    """The text with something else in the place of a node."""
    head = text[: _start(node)]
    return (head.rstrip(" ") if strip else head) + instead + text[_end(node) :]


def _start(node: Node) -> int:
    return int(node.start_mark.index)


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and str(node.tag).endswith(":null")


def _empty(node: Node) -> bool:
    return isinstance(node, SequenceNode) and not node.value


def _end(node: Node) -> int:
    """Where the last character of a node stands; a block's own mark lies behind its comments."""
    if not isinstance(node, MappingNode | SequenceNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    child = last[1] if isinstance(node, MappingNode) else last
    if _start(child) < _start(node):  # an alias: it stands where its anchor is
        raise CannotEditError("The file uses YAML aliases where our settings would go.")
    return _end(child)


def _after(text: str, at: int, lines: list[str]) -> str:
    """Put lines below the line in which a position is."""
    if at and text[at - 1] == "\n":
        cut = at
    else:
        found = text.find("\n", at)
        cut = len(text) if found < 0 else found + 1
    head = text[:cut]
    return head + ("" if head.endswith("\n") else "\n") + "\n".join(lines) + "\n" + text[cut:]


def _appended(text: str, lines: list[str]) -> str:
    return text + ("" if not text or text.endswith("\n") else "\n") + "\n".join(lines) + "\n"


def _lines(lines: list[str], column: int) -> list[str]:
    return [" " * column + line for line in lines]


def _entry(value: dict[str, Data]) -> list[str]:
    body = [line for name, item in value.items() for line in _pair(name, item)]
    return ["- " + body[0], *("  " + line for line in body[1:])]


def _pair(name: str, value: Data) -> list[str]:
    if isinstance(value, dict):
        body = [line for key, item in value.items() for line in _pair(key, item)]
        return [f"{name}:", *("  " + line for line in body)]
    return [f"{name}: {_scalar(value)}"]


def _scalar(value: Data) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _TAKEN:
        return value if parse(value) == value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
