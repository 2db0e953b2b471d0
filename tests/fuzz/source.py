"""Where a target's input comes from: a number of hypothesis's, or the bytes that atheris tries."""

import random
from typing import Protocol


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


class Seeded:
    """Decisions that follow from one number.

    Hypothesis chooses that number only: how many decisions a server asks for depends on what it has
    learnt before (a list of models, an account), and hypothesis wants every run to draw the same.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)

    def raw(self, most: int) -> bytes:
        return self._random.randbytes(self._size(most))

    def text(self, most: int) -> str:
        return "".join(chr(self._letter()) for _ in range(self._size(most)))

    def _size(self, most: int) -> int:
        """Small ones more often than large ones."""
        return int(most ** self._random.random()) - 1 if most else 0

    def _letter(self) -> int:
        limit = self._random.choice((0x80, 0x80, 0x800, 0x1_0000, 0x11_0000))
        return self._random.randrange(limit)


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
