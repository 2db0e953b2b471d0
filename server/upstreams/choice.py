"""Which Google door answers: the upstreams that are configured, and the one chosen."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from server.errors import AuthenticationError, ProxyError
from server.gemini import known
from server.gemini.catalogue import Catalogue, catalogue, today
from server.gemini.models import Aliases, Model, living_models
from server.settings.load import Settings
from server.upstreams.base import Door, Parts, Upstream
from server.upstreams.learned_models import LearnedModels
from server.upstreams.model_refusals import WORDS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """The upstream in use, and why."""

    door: Door | None
    """None when nothing is configured."""
    reason: str


DEMO = "demo"
"""The upstream that is never chosen by itself, and needs no key."""
LIST_WITHIN_S = 3.0
"""How long a list, or a request that needs it, waits for Google."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """One question for a list, under way or over."""

    upstream: Upstream
    task: asyncio.Task[None]
    until: float
    """By the loop's clock: nobody waits for it any longer."""


class Doors:
    """Builds upstreams on demand and keeps them until a setting they read changes."""

    def __init__(
        self,
        parts: Parts,
        registry: Mapping[str, Door],
        learned: LearnedModels,
        *,
        list_within_s: float = LIST_WITHIN_S,
    ) -> None:
        self.learned = learned
        """What Google's answers told of models."""
        self._parts = parts
        self._registry = registry
        self._built: dict[str, Upstream] = {}
        self._list_within_s = list_within_s
        self._listing: dict[str, _Listing] = {}
        self._rules: tuple[Settings, Catalogue, Aliases] | None = None

    @property
    def settings(self) -> Settings:
        return self._parts.settings

    @property
    def setup_address(self) -> str:
        """Where a person finds the sign-in page."""
        return f"http://127.0.0.1:{self.settings.port}/setup"

    def aliases(self, upstream: Upstream | None = None) -> Aliases:
        """The rules for names at ``upstream``, or at the one in use, as they are now: the same
        object as long as they are the same."""
        settings, upstream = self.settings, upstream or self.current()
        refused = self.learned.refused(upstream.credential if upstream else "")
        door, table, on = self._door(upstream), catalogue(), today()
        demo = upstream is not None and upstream.name == DEMO
        kept = self._rules
        if kept and kept[0] is settings and kept[1] is table:
            aliases = kept[2]
            if (aliases.door, aliases.on, aliases.demo, aliases.refused) == (
                door,
                on,
                demo,
                refused,
            ):
                return aliases
        aliases = Aliases(
            settings.aliases,
            best=settings.model_best,
            main=settings.model_main,
            fast=settings.model_fast,
            unknown=settings.unknown_model,
            door=door,
            refused=refused,
            reasons={model: WORDS[mark.why] for model, mark in refused.items()},
            on=on,
            demo=demo,
        )
        self._rules = settings, table, aliases
        return aliases

    def _door(self, upstream: Upstream | None) -> known.Door:
        """Whose preferences count; a key is taken for free until an answer shows otherwise."""
        if upstream is None:
            return "free"
        paid = upstream.door == "free" and self.learned.plan(upstream.credential) == "paid"
        return "paid" if paid else upstream.door

    def use(self, settings: Settings) -> None:
        """Take new settings. Requests under way keep the upstream they have."""
        before, self._parts = self.settings, replace(self._parts, settings=settings)
        for name in list(self._built):
            if any(getattr(before, f) != getattr(settings, f) for f in self._registry[name].reads):
                del self._built[name]

    def forget(self, name: str) -> None:
        """Build this upstream anew: whoever is behind it has changed."""
        self._built.pop(name, None)

    def configured(self) -> list[Door]:
        """The upstreams whose credential is there, in the order ``auto`` prefers them.

        The demo never counts: it answers only when it is asked for by name.
        """
        return [door for door in self._registry.values() if door.configured(self._parts)]

    def listed(self) -> list[Door]:
        """Every upstream there is."""
        return list(self._registry.values())

    def choice(self) -> Choice:
        """The upstream that answers now."""
        name = self.settings.upstream
        if name != "auto":
            source = self.settings.source("UPSTREAM")
            return Choice(self._registry.get(name), f"UPSTREAM={name} from {source}")
        there = self.configured()
        if not there:
            return Choice(None, "no upstream is configured yet")
        others = ", ".join(door.name for door in there[1:])
        reason = "the only one configured" if not others else f"first choice; also there: {others}"
        return Choice(there[0], reason)

    def chosen(self) -> Upstream:
        """The upstream in use. Raises ``AuthenticationError`` when none can be."""
        named = self.settings.upstream
        if named == "auto":
            door = next((d for d in self._registry.values() if d.configured(self._parts)), None)
        else:
            door = self._registry.get(named)
            door = door if door is not None and self._is_ready(door) else None
        if door is not None:
            return self._build(door)
        if self._parts.tokens.problem is not None and named in ("auto", "code-assist"):
            # Google has ended the sign-in: its own reason says more than "not signed in".
            raise self._parts.tokens.sign_in_error()
        if named == "auto":
            raise self._sign_in("No Google account or key is set up yet.")
        return self.named(named)

    def named(self, name: str) -> Upstream:
        """One upstream, in use or not. Raises ``AuthenticationError`` when it is not set up."""
        door = self._registry.get(name)
        if door is None:
            raise self._sign_in(f"The upstream {name} is not part of this version.")
        if not self._is_ready(door):
            raise self._sign_in(f"The upstream {door.name} is not set up: {door.missing}.")
        return self._build(door)

    def _build(self, door: Door) -> Upstream:
        if door.name not in self._built:
            self._built[door.name] = door.build(self._parts)
        return self._built[door.name]

    def current(self) -> Upstream | None:
        """The upstream in use, or None when there is none to use."""
        try:
            return self.chosen()
        except AuthenticationError:
            return None

    async def available(self, upstream: Upstream | None = None) -> tuple[Model, ...]:
        """The models of ``upstream``, or of the one in use; what is known to live there when it
        cannot say."""
        upstream = upstream or self.current()
        if upstream is None:
            return living_models("free")
        if not upstream.list_is_fresh:
            await self._list(upstream)
        return upstream.listed() or living_models(upstream.door)

    async def _list(self, upstream: Upstream) -> None:
        """Ask for the list, and wait a little for it: what was known before may have to do."""
        listing = self._listing.get(upstream.name)
        loop = asyncio.get_running_loop()
        if listing is None or listing.upstream is not upstream or listing.task.done():
            task = loop.create_task(self._ask_for_list(upstream), name=f"list {upstream.name}")
            listing = _Listing(upstream, task, loop.time() + self._list_within_s)
            self._listing[upstream.name] = listing
        await asyncio.wait({listing.task}, timeout=max(0.0, listing.until - loop.time()))

    async def _ask_for_list(self, upstream: Upstream) -> None:
        try:
            await upstream.models()
        except ProxyError as error:
            log.warning("%s did not list its models: %s", upstream.name, error.message)

    def close(self) -> None:
        """Ask nothing any more."""
        for listing in self._listing.values():
            listing.task.cancel()

    def _is_ready(self, door: Door) -> bool:
        return door.name == DEMO or door.configured(self._parts)

    def _sign_in(self, problem: str) -> AuthenticationError:
        return AuthenticationError(
            f"{problem} Open {self.setup_address} on this computer and choose how to reach Gemini.",
            code="google_sign_in_required",
            should_retry=False,
        )
