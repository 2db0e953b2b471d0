"""JSON with comments and trailing commas (VS Code, Zed, opencode), changed in place.

The text is read into nodes that know where they stand; an edit replaces or inserts characters and
leaves all others alone. Written here because no kept Python library does it (ADR 0018).
"""

import json
import re
from dataclasses import dataclass, field
from typing import Literal

from server.connect.edits import Addition, CannotEditError, Data, Item, Put, Way

_BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*[\s\S]*?\*/)*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORD = re.compile(r"[^\s,\[\]{}:\"/]+")
_DEEPEST = 200


@dataclass(slots=True)
class Node:
    """A value and where it stands in the text, end not included."""

    kind: Literal["object", "array", "value"]
    start: int
    end: int = 0
    value: Data = None
    names: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Where each child begins, its name included."""
    children: list["Node"] = field(default_factory=list)
    last: int = 0
    """Where the last child, the comma and the comments behind it end."""
    comma: bool = False
    """A comma stands behind the last child."""

    def child(self, name: str) -> "Node | None":
        """The member of that name: the last one, as ``JSON.parse`` has it."""
        found = [
            node for other, node in zip(self.names, self.children, strict=True) if other == name
        ]
        return found[-1] if found else None

    def data(self) -> Data:
        if self.kind == "object":
            pairs = zip(self.names, self.children, strict=True)
            return {name: node.data() for name, node in pairs}
        if self.kind == "array":
            return [node.data() for node in self.children]
        return self.value


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def blank(self) -> None:
        if match := _BLANK.match(self.text, self.at):
            self.at = match.end()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def fail(self, wanted: str) -> CannotEditError:
        line = self.text.count("\n", 0, self.at) + 1
        return CannotEditError(f"It is not valid JSON: line {line}, {wanted} was expected.")

    def node(self, depth: int = 0) -> Node:
        if depth > _DEEPEST:
            raise self.fail("less nesting")
        sign = self.peek()
        if sign == "{":
            return self.container("object", "}", depth)
        if sign == "[":
            return self.container("array", "]", depth)
        start = self.at
        match = (_STRING if sign == '"' else _WORD).match(self.text, self.at)
        if match is None:
            raise self.fail("a value")
        try:
            value = json.loads(match[0])
        except ValueError:
            raise self.fail("a value") from None
        self.at = match.end()
        return Node("value", start, self.at, value)

    def container(self, kind: Literal["object", "array"], closing: str, depth: int) -> Node:
        node = Node(kind, self.at)
        self.at += 1
        self.blank()
        while self.peek() != closing:
            if node.children and not node.comma:
                raise self.fail(f"a comma or {closing}")
            node.starts.append(self.at)
            if kind == "object":
                node.names.append(self.name())
            node.children.append(self.node(depth + 1))
            self.blank()
            node.comma = self.peek() == ","
            if node.comma:
                self.at += 1
                self.blank()
            if not self.peek():
                raise self.fail(closing)
        node.last = node.start + 1 + len(self.text[node.start + 1 : self.at].rstrip(" \t\r\n"))
        self.at += 1
        node.end = self.at
        return node

    def name(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise self.fail("a name in quotes")
        try:
            name = str(json.loads(match[0]))
        except ValueError:
            raise self.fail("a name in quotes") from None
        self.at = match.end()
        self.blank()
        if self.peek() != ":":
            raise self.fail("a colon")
        self.at += 1
        self.blank()
        return name


def read(text: str) -> Node | None:
    """The value of a text; None where there is none. Raises ``CannotEditError``."""
    reader = _Reader(text)
    reader.blank()
    if not reader.peek():
        return None
    node = reader.node()
    reader.blank()
    if reader.peek():
        raise reader.fail("the end")
    return node


def parse(text: str) -> Data:
    """What the text says. Raises ``CannotEditError``."""
    root = read(text)
    return None if root is None else root.data()


def edit(text: str, change: Addition) -> str:
    """The text with one change in it."""
    root = read(text)
    step = unit(text)
    if root is None:
        body = _rendered(_below(change, 0), "", step)
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{body}\n"
    node, depth = root, 0
    while depth < len(change.path):
        if node.kind != "object":
            raise CannotEditError(f"{'.'.join(change.path[:depth]) or 'the file'} is not a table.")
        child = node.child(change.path[depth])
        if child is not None and child.value is None and child.kind == "value":
            return _replace(text, child, _below(change, depth + 1), step)
        if child is None:
            return _insert(text, node, change.path[depth], _below(change, depth + 1), step)
        node, depth = child, depth + 1
    if isinstance(change, Put):
        return _replace(text, node, change.value, step)
    if node.kind != "array":
        raise CannotEditError(f"{'.'.join(change.path) or 'the file'} is not a list.")
    index = change.place(node.data())
    if index is None:
        return _insert(text, node, None, change.value, step)
    return _replace(text, node.children[index], change.value, step)


def drop(text: str, path: Way) -> str:
    """The text without what is at a path; comments around it stay."""
    parent = read(text)
    for step in path[:-1]:
        parent = parent and parent.children[_index(parent, step)]
    if parent is None:
        raise CannotEditError("There is nothing to take out.")
    index, count = _index(parent, path[-1]), len(parent.children)
    start, end = parent.starts[index], parent.children[index].end
    if index + 1 < count or parent.comma:
        end = _comma(text, end) + 1
    elif index:
        comma = _comma(text, parent.children[index - 1].end)
        text = text[:comma] + text[comma + 1 :]
        start, end = start - 1, end - 1
    head, tail = text[:start].rstrip(" \t"), text[end:].lstrip(" \t")
    if count == 1 and head.rstrip().endswith(("{", "[")) and tail.lstrip().startswith(("}", "]")):
        return head.rstrip() + tail.lstrip()
    if head.endswith("\n") and tail.startswith("\n"):
        return head[:-1] + tail
    return head + text[end:] if index + 1 == count else text[:start] + tail


def _comma(text: str, at: int) -> int:
    """Where the comma behind a value stands, which comments may precede."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _index(node: Node, step: str | int) -> int:
    if isinstance(step, int):
        return step
    if node.names.count(step) != 1:
        raise CannotEditError(f"{step} stands there more than once.")
    return node.names.index(step)


def _below(change: Addition, depth: int) -> Data:
    """The value that a path leads to, from one of its steps on."""
    value = [change.value] if isinstance(change, Item) else change.value
    for name in reversed(change.path[depth:]):
        value = {name: value}
    return value


def _replace(text: str, node: Node, value: Data, unit: str) -> str:
    return text[: node.start] + _rendered(value, _indent(text, node.start), unit) + text[node.end :]


def _insert(text: str, parent: Node, name: str | None, value: Data, unit: str) -> str:
    """Add a last child. Comments behind the present last one stay where they are."""
    label = "" if name is None else f"{json.dumps(name, ensure_ascii=False)}: "
    outer = _indent(text, parent.start)
    if not parent.children:
        inner = outer + unit
        body = f"{label}{_rendered(value, inner, unit)}"
        if parent.last > parent.start + 1:  # only comments are in there
            return f"{text[: parent.last]}\n{inner}{body}\n{outer}{text[parent.end - 1 :]}"
        return f"{text[: parent.start + 1]}\n{inner}{body}\n{outer}{text[parent.end - 1 :]}"
    last = parent.children[-1]
    comma = "" if parent.comma else ","
    head, between = text[: last.end], text[last.end : parent.last]
    if "\n" in text[parent.start : parent.end]:
        first = parent.children[0].start
        inner = _indent(text, first) if "\n" in text[parent.start : first] else outer + unit
        body = f"{label}{_rendered(value, inner, unit)}{',' if parent.comma else ''}"
        tail = text[parent.last : parent.end - 1]
        tail = tail if "\n" in tail else f"\n{outer}"
        return f"{head}{comma}{between}\n{inner}{body}{tail}{text[parent.end - 1 :]}"
    body = f"{label}{json.dumps(value, ensure_ascii=False)}"
    return f"{head}{comma}{between} {body}{text[parent.last :]}"


def _rendered(value: Data, indent: str, unit: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", f"\n{indent}")


def _indent(text: str, at: int) -> str:
    """The white space that the line of a position begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def unit(text: str) -> str:
    """One step of the file's own indentation; two spaces where it has none."""
    match = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    if match is None:
        return "  "
    return "\t" if match[1].startswith("\t") else match[1]
