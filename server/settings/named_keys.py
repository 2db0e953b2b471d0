"""Keys with a name, as ``[keys.NAME]`` of ``settings.toml`` says them (contract section 8)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

_FIELDS = frozenset({"sha256", "expires"})


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key of ``[keys.NAME]``: it opens the model endpoints."""

    sha256: str
    """Of the key, in hex; the key itself is kept nowhere."""
    expires: date | None = None
    """Its last day, local time."""


def named_keys(value: object) -> Mapping[str, NamedKey]:
    """The table, checked. Raises ``ValueError``."""
    if not isinstance(value, Mapping):
        raise ValueError  # noqa: TRY004  # one exception means "not allowed" for every parser
    return {str(name): _named_key(str(name), entry) for name, entry in value.items()}


def _named_key(name: str, entry: object) -> NamedKey:
    """An unknown field is refused: a limit that is not kept would be worse than none."""
    if not isinstance(entry, Mapping) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise ValueError
    digest, expires = entry.get("sha256"), entry.get("expires")
    if not isinstance(digest, str) or not re.fullmatch(r"[0-9A-Fa-f]{64}", digest):
        raise ValueError
    if set(entry) - _FIELDS:
        raise ValueError
    return NamedKey(digest.lower(), None if expires is None else _day(expires))


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    return date.fromisoformat(str(value))
