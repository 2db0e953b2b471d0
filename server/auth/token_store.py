"""Which sign-in is on disk, and where a new one is written.

Several processes may share the token file, and another program (Gemini CLI, the original proxy) may
own it: such a file is only ever read, and our renewed copy of its sign-in goes to
``google_token.json`` in the data folder (contract section 2, *Token files read*).
"""

import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from server.auth.token_files import (
    Credential,
    Stamp,
    parse_token_file,
    render_token_file,
    stamp_of,
)
from server.files import write_private

log = logging.getLogger(__name__)

HALF_WRITTEN_S = 2.0
"""How long a file that does not parse may still be in the middle of being written."""
OWN_FILE = "google_token.json"
ORIGINAL_FILE = Path("/opt/gemini-api-proxy") / OWN_FILE
"""Where the original program left its token."""
SIGNED_OUT_FILE = "signed_out"
"""Fingerprints of other programs' sign-ins that are not to be used any more."""


class TokenStore:
    """The sign-in on disk: ``held``, as of the last ``scan()``, which costs four ``stat`` calls."""

    def __init__(
        self,
        token_file: Path,
        data_dir: Path,
        *,
        now: Callable[[], float],
        original_file: Path = ORIGINAL_FILE,
    ) -> None:
        self._token_file, self._data_dir = token_file, data_dir
        self._own_file = data_dir / OWN_FILE
        self._original_file = original_file
        self._signed_out_file = data_dir / SIGNED_OUT_FILE
        self._now = now
        self._files = tuple(dict.fromkeys((self._own_file, token_file, original_file)))
        self._stamps: dict[Path, Stamp | None] = {}
        self._read: dict[Path, Credential] = {}
        self._half_since: dict[Path, float] = {}
        self._foreign: set[Path] = {original_file}
        self._tokens: set[Path] = set()
        """Files that hold a sign-in, as far as seen."""
        self._signed_out: frozenset[str] = frozenset()
        self._over: set[str] = set()
        """Fingerprints of sign-ins that ended in this process, whatever the disk lets us note."""
        self._unsaved: Credential | None = None
        """Our sign-in, where the file cannot be written."""
        self.held: Credential | None = None
        self.broken = False
        """Whether ``TOKEN_FILE`` is there and cannot be used."""

    def scan(self) -> bool:
        """Read what has changed. False while a file may be half-written."""
        stamps = {path: stamp_of(path) for path in (*self._files, self._signed_out_file)}
        if stamps == self._stamps and not self._half_since:
            return True
        for path in self._files:
            if stamps[path] != self._stamps.get(path) or path in self._half_since:
                self._read_file(path, stamps[path])
        home = self._home()
        if stamps[home] != self._stamps.get(home):
            self._unsaved = None  # somebody else could write it
        self._stamps = stamps
        self._signed_out = frozenset(_words(self._signed_out_file))
        self.held = self._pick()
        return not self._half_since

    def write(self, credential: Credential) -> None:
        """Hold ``credential`` and save it; where that fails it lives in memory."""
        home = self._home()
        self._over.discard(credential.fingerprint)
        if credential.fingerprint in self._signed_out:  # the same again, after signing out
            self._note(self._signed_out - {credential.fingerprint})
        try:
            write_private(home, render_token_file(credential))
        except OSError as error:
            log.warning("%s cannot be written (%s): the sign-in is not saved", home, error)
            self.scan()
            self._unsaved = credential
        else:
            self._unsaved = None
            self.scan()
        self.held = credential

    def remove(self) -> None:
        """Delete our file, and use no other program's sign-in until there is a new one."""
        self.scan()
        over = {other.fingerprint for other in self._others()}
        home = self._home()
        try:
            home.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be deleted (%s): what it holds is ignored", home, error)
            over |= {found.fingerprint for found in (self._read.get(home),) if found}
        self._end(over)

    def reject(self, credential: Credential) -> None:
        """Put a sign-in that Google has ended aside, where the file is in our folder; elsewhere it
        stays as it is, and is ignored. A newer one in its place stays."""
        self.scan()
        if self.held is None or self.held.fingerprint != credential.fingerprint:
            return
        borrowed = self.is_borrowed(credential)
        aside = self._home().exists() and self._set_aside("rejected", self._home())
        self._over.add(credential.fingerprint)
        self._end({credential.fingerprint} if borrowed or not aside else set())

    def _set_aside(self, why: str, path: Path) -> bool:
        """Rename a file of our folder; False where it is not ours to rename, or cannot be."""
        if not self._is_inside(path):
            return False
        try:
            path.replace(path.with_name(f"{path.name}.{why}-{int(self._now())}"))
        except OSError as error:
            log.warning("%s cannot be set aside: %s", path, error)
            return False
        return True

    def _end(self, prints: Collection[str]) -> None:
        """Forget our sign-in, and use none of these any more, also after a restart where the folder
        can be written."""
        self._over.update(prints)
        self._unsaved = None
        if not self._signed_out.issuperset(prints):
            self._note(self._signed_out.union(prints))
        self._forget()

    def _note(self, prints: Collection[str]) -> None:
        """Write down which sign-ins are not to be used."""
        try:
            write_private(self._signed_out_file, "\n".join([*sorted(prints), ""]))
        except OSError as error:
            log.warning("%s cannot be written: %s", self._signed_out_file, error)

    def is_borrowed(self, credential: Credential) -> bool:
        """Whether this is another program's sign-in, or our copy of it."""
        prints = {other.fingerprint for other in self._others()}
        return credential.copied or credential.fingerprint in prints

    def _forget(self) -> None:
        self.scan()
        self.held = self._pick()

    def _read_file(self, path: Path, stamp: Stamp | None) -> None:
        """Read one file; one that does not parse gets ``HALF_WRITTEN_S`` to become whole."""
        try:
            found = parse_token_file(path.read_text("utf-8"))
        except FileNotFoundError:
            self._read.pop(path, None)
            self._tokens.discard(path)
            self._half_since.pop(path, None)
        except (OSError, ValueError) as error:
            written = stamp[0] / 1e9 if stamp else self._now()
            since = self._half_since.setdefault(path, min(written, self._now()))
            if self._now() - since >= HALF_WRITTEN_S:
                self._give_up(path, error)
        else:
            self._read[path] = found
            self._tokens.add(path)
            self._half_since.pop(path, None)
            self.broken = self.broken and path != self._token_file
            inside = self._is_inside(path)
            if found.format == "gemini-cli" or (found.format == "original" and not inside):
                self._foreign.add(path)

    def _give_up(self, path: Path, error: Exception) -> None:
        """Set a broken file in our folder aside; report one elsewhere."""
        self._read.pop(path, None)
        self._tokens.discard(path)
        del self._half_since[path]
        self.broken = self.broken or path == self._token_file
        inside = self._is_inside(path)
        what_then = "set aside" if inside else "left as it is"
        log.warning("%s cannot be read (%s) and is %s", path, error, what_then)
        self._set_aside("corrupt", path)

    def _is_inside(self, path: Path) -> bool:
        """Whether ``path`` lies in our folder; a link or ``..`` in its way may lead out of it."""
        return (path.parent.resolve() / path.name).is_relative_to(self._data_dir.resolve())

    def _home(self) -> Path:
        """The file we write."""
        path = self._token_file
        foreign = path in self._foreign or path.name == "oauth_creds.json"
        return self._own_file if foreign or self._is_somebodys(path) else path

    def _is_somebodys(self, path: Path) -> bool:
        """Whether a file outside our folder holds no sign-in: it is then not ours to overwrite."""
        return path not in self._tokens and not self._is_inside(path) and path.exists()

    def _others(self) -> Iterator[Credential]:
        """Sign-ins of other programs that may be used."""
        for path in (self._token_file, self._original_file):
            found = self._read.get(path)
            if found and path in self._foreign and self._is_usable(found):
                yield found

    def _is_usable(self, found: Credential) -> bool:
        return found.fingerprint not in self._signed_out | self._over

    def _pick(self) -> Credential | None:
        """Our own sign-in, else another program's; of that and our copy of it, the fresher."""
        ours = self._unsaved or self._read.get(self._home())
        ours = ours if ours is not None and self._is_usable(ours) else None
        other = next(self._others(), None)
        if ours is None or other is None or not ours.copied:
            return ours or other
        if ours.fingerprint != other.fingerprint:
            return other  # that program has signed in anew
        return max(ours, other, key=lambda credential: credential.expires_at)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []
