"""Reading a client's JSON with errors that name the field.

``Fields`` wraps one JSON object. Every getter raises ``BadRequestError`` whose ``param`` is the
path in the dialect's own notation; null counts as absent. What nobody read is what we do not know,
and ends up in ``x-proxy-dropped``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from server.errors import BadRequestError
from server.gemini.types import Json

Notation = Literal["dots", "brackets"]
"""How a path is written: ``messages.0.content`` (Anthropic) or ``messages[0].content`` (OpenAI)."""


def wrong(path: str, problem: str, *, code: str | None = None) -> BadRequestError:
    """The error for the field at ``path``; ``problem`` says what it should be."""
    return BadRequestError(f"{path}: {problem}" if path else problem, param=path or None, code=code)


@dataclass(slots=True)
class Fields:
    """One JSON object at ``path``, read field by field."""

    raw: Json
    path: str = ""
    notation: Notation = "brackets"
    _read: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, value: object, path: str = "", notation: Notation = "brackets") -> "Fields":
        """Wrap ``value``, which must be an object."""
        if not isinstance(value, dict):
            raise wrong(path, "Input should be a valid object")
        return cls(value, path, notation)

    def at(self, name: str) -> str:
        """The path of a field of this object."""
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> object:
        """The raw value, or None."""
        self._read.add(name)
        return self.raw.get(name)

    def known(self, *names: str) -> None:
        """Mark fields as known that carry nothing for Gemini (no loss in ignoring them)."""
        self._read.update(names)

    def unread(self) -> tuple[str, ...]:
        """Fields that were sent, not null, and that nobody asked for."""
        return tuple(k for k, v in self.raw.items() if k not in self._read and v is not None)

    def string(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise wrong(self.at(name), "Input should be a valid string")
        return value

    def required_string(self, name: str) -> str:
        value = self.string(name)
        if not value:
            raise wrong(self.at(name), "Field required", code="missing_required_parameter")
        return value

    def integer(self, name: str, *, low: int | None = None, high: int | None = None) -> int | None:
        value = self.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong(self.at(name), "Input should be a valid integer")
        self._in_range(name, value, low, high)
        return value

    def number(
        self, name: str, *, low: float | None = None, high: float | None = None
    ) -> float | None:
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong(self.at(name), "Input should be a valid number")
        self._in_range(name, value, low, high)
        return value

    def boolean(self, name: str) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(self.at(name), "Input should be a valid boolean")
        return value is True

    def array(self, name: str) -> list[object] | None:
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise wrong(self.at(name), "Input should be a valid list")
        return value

    def object(self, name: str) -> "Fields | None":
        """The nested object, itself wrapped."""
        value = self.get(name)
        return None if value is None else Fields.of(value, self.at(name), self.notation)

    def objects(self, name: str) -> Iterator["Fields"]:
        """The members of a list, each of which must be an object."""
        for index, item in enumerate(self.array(name) or ()):
            yield Fields.of(item, self.item(name, index), self.notation)

    def item(self, name: str, index: int) -> str:
        """The path of one member of the list ``name``."""
        return (
            f"{self.at(name)}.{index}" if self.notation == "dots" else f"{self.at(name)}[{index}]"
        )

    def _in_range(self, name: str, value: float, low: float | None, high: float | None) -> None:
        if low is not None and value < low:
            raise wrong(self.at(name), f"Input should be greater than or equal to {low}")
        if high is not None and value > high:
            raise wrong(self.at(name), f"Input should be less than or equal to {high}")
