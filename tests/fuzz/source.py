"""Where a target's input comes from: hypothesis, or the bytes that atheris tries."""

from typing import Protocol

from hypothesis import strategies as st


class Source(Protocol):
    """Decides; the same decisions give the same input."""

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        ...

    def raw(self, most: int) -> bytes:
        """Any bytes, no more than ``most``."""
        ...

    def text(self, most: int) -> str:
        """Any text, halves of surrogate pairs included."""
        ...


class Drawn:
    """Decisions that hypothesis makes, and shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self._draw = data.draw

    def below(self, limit: int) -> int:
        return self._draw(st.integers(0, limit - 1))

    def raw(self, most: int) -> bytes:
        return self._draw(st.binary(max_size=most))

    def text(self, most: int) -> str:
        letters = st.characters(exclude_categories=())
        return self._draw(st.text(letters, max_size=most))


class Taken:
    """Decisions taken from the front of ``data``; all 0 once it is used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, limit: int) -> int:
        count = 1 if limit <= 256 else 2 if limit <= 65_536 else 4
        return int.from_bytes(self._take(count), "big") % limit

    def raw(self, most: int) -> bytes:
        return self._take(min(most, self.below(256) if most < 256 else self.below(65_536)))

    def text(self, most: int) -> str:
        text = self.raw(most).decode("utf-8", "replace")
        return "\ud83d" + text if self.below(8) == 1 else text

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken
