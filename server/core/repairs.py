"""What Google has refused and took when it was mended, so that it is not asked again: schemas that
it took in plainer words, thought signatures that it took only as the bypass value, wishes for
thoughts and media of earlier turns without which it took a conversation.

An agent sends the same tools and the same history with every turn: without this memory each turn
would be refused first and repaired afterwards. Remembered are digests only, by
upstream, model and bytes: of one schema; of all of them where a refusal named no tool; of one
signature; of one wish; of all media of the earlier turns together. Kept in ``repairs.json``.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from server.files import write_private_bytes
from server.gemini.schema import Repair, plainer, schemas
from server.gemini.signatures import bypassed, own_signatures
from server.gemini.types import GenerateRequest, Json
from server.json_codec import dumps, loads
from server.limits import REPAIRS

log = logging.getLogger(__name__)

KEPT_S = 30 * 86_400
"""Google learns, and so does the cleaner: after this a schema is tried as it is again."""

MEDIA_NAMED = "contents[].parts[]"
"""How ``x-proxy-dropped`` names media of earlier turns that Google cannot read."""

THINKING_NAMED = "generationConfig.thinkingConfig"

Lane = tuple[str, str]
"""Upstream and model: what one refuses another may take."""


class Repairs:
    """The marks of all lanes; the oldest make room."""

    def __init__(self, data_dir: Path, *, now: Callable[[], float] = time.time) -> None:
        self._path, self._now = data_dir / "repairs.json", now
        self._marks = _load(self._path, now() - KEPT_S)
        self._saving = asyncio.Lock()

    def apply(self, lane: Lane, request: GenerateRequest) -> Repair:
        """``request`` with the plain words that ``lane`` is known to need."""
        if not self._marks:
            return Repair(request)
        known = {index for index, mark in _marks(lane, request).items() if self._is_known(mark)}
        aimed = plainer(request, known) if known else Repair(request)
        if self._is_known(_whole(lane, aimed.request)):
            whole = plainer(aimed.request)
            return replace(whole, changed=whole.changed | aimed.changed)
        return aimed

    async def learn(
        self, lane: Lane, request: GenerateRequest, only: frozenset[int] | None
    ) -> None:
        """``request`` was refused, and taken with the schemas of ``only`` (None: all) plainer."""
        if only is None:
            marks = [_whole(lane, request)]
        else:
            marks = [mark for index, mark in _marks(lane, request).items() if index in only]
        await self._remember(marks)

    def bypass(self, lane: Lane, request: GenerateRequest) -> GenerateRequest:
        """``request`` with the bypass value for the signatures that ``lane`` is known to refuse."""
        if not self._marks:
            return request
        own = own_signatures(request)
        return bypassed(request, {one for one in own if self._is_known(_signature(lane, one))})

    async def learn_signatures(self, lane: Lane, signatures: Iterable[str]) -> None:
        """A request was refused with ``signatures``, and taken with the bypass in their place."""
        await self._remember(_signature(lane, one) for one in signatures)

    def refuses_thinking(self, lane: Lane, request: GenerateRequest) -> bool:
        """Whether ``lane`` is known to refuse the wish for thoughts in ``request``."""
        wish = request.get("generationConfig", {}).get("thinkingConfig")
        return bool(self._marks) and wish is not None and self._is_known(_wish(lane, wish))

    async def learn_thinking(self, lane: Lane, wish: Json) -> None:
        """A request was refused with the ``thinkingConfig`` ``wish``, and taken without."""
        await self._remember([_wish(lane, wish)])

    def unreadable(self, lane: Lane, media: Sequence[Json]) -> bool:
        """Whether ``lane`` is known to take a conversation only without these media together."""
        return bool(self._marks and media) and self._is_known(_together(lane, media))

    async def learn_media(self, lane: Lane, media: Sequence[Json]) -> None:
        """A conversation was refused with ``media`` of its earlier turns, and taken without."""
        await self._remember([_together(lane, media)])

    async def _remember(self, marks: Iterable[str]) -> None:
        for mark in marks:
            self._marks.pop(mark, None)
            self._marks[mark] = self._now()
        for mark in list(self._marks)[:-REPAIRS]:
            del self._marks[mark]
        await self._save()

    async def wipe(self) -> None:
        """Forget everything."""
        self._marks.clear()
        await self._save()

    def _is_known(self, mark: str) -> bool:
        return self._marks.get(mark, -KEPT_S) > self._now() - KEPT_S

    async def _save(self) -> None:
        async with self._saving:
            try:
                await asyncio.to_thread(write_private_bytes, self._path, dumps(dict(self._marks)))
            except OSError as error:
                log.warning("what Google took when it was mended cannot be saved: %s", error)


def _load(path: Path, since: float) -> dict[str, float]:
    try:
        kept = loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read, and begins anew: %s", path, error)
        return {}
    items = kept.items() if isinstance(kept, Mapping) else ()
    marks = {str(mark): at for mark, at in items if isinstance(at, int | float) and at > since}
    return dict(sorted(marks.items(), key=lambda item: item[1])[-REPAIRS:])


def _marks(lane: Lane, request: GenerateRequest) -> dict[int, str]:
    """The mark of each schema, by its index."""
    return {index: _mark(lane, dumps(schema)) for index, schema in schemas(request)}


def _whole(lane: Lane, request: GenerateRequest) -> str:
    return _mark(lane, b"all", *(dumps([index, schema]) for index, schema in schemas(request)))


def _signature(lane: Lane, signature: str) -> str:
    return _mark(lane, b"signature", signature.encode())


def _wish(lane: Lane, wish: Json) -> str:
    return _mark(lane, b"thinking", dumps(wish))


def _together(lane: Lane, media: Sequence[Json]) -> str:
    return _mark(lane, b"media", *map(dumps, media))


def _mark(lane: Lane, *texts: bytes) -> str:
    digest = hashlib.sha256("\n".join(lane).encode("utf-8", "replace"))
    for text in texts:
        digest.update(b"\n" + text)
    return digest.hexdigest()[:32]
