"""The keys of this server, by kind. Only digests are compared, each in constant time."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from typing import Literal

from server.settings.load import Settings

KeyKind = Literal["admin key", "api key", "named key"]


@dataclass(frozen=True, slots=True)
class Key:
    """One key that opens something."""

    kind: KeyKind
    digest: str
    """SHA-256 in hex."""
    name: str = ""
    """Of a named key."""
    expires: date | None = None
    """The last day, local time, on which it opens anything."""

    @property
    def is_over(self) -> bool:
        return self.expires is not None and date.today() > self.expires  # noqa: DTZ011  # local


def digest_of(text: str) -> str:
    """What stands for a key wherever the key itself need not be."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class Keyring:
    """Every key that opens a door: ADMIN_KEY, API_KEY or the generated one, named keys."""

    def __init__(self, settings: Settings, generated: str | None) -> None:
        api_keys = settings.api_keys or ((generated,) if generated else ())
        admin = (settings.admin_key,) if settings.admin_key else ()
        self._keys = (
            *(Key("admin key", digest_of(key)) for key in admin),
            *(Key("api key", digest_of(key)) for key in api_keys),
            *(
                Key("named key", key.sha256, name, key.expires)
                for name, key in settings.named_keys.items()
            ),
        )

    def find(self, given: str) -> Key | None:
        """The key that ``given`` is, also one that is over; None for one that is unknown."""
        return self.of_digest(digest_of(given))

    def of_digest(self, digest: str) -> Key | None:
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = found or key
        return found
