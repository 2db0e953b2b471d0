"""The one path of a request: resolve, fetch, fit, wait for a turn, send, read, retry, record.

Nothing here knows a dialect or an upstream by name. ``Pipeline.generate`` reads top to bottom as
the life of a request; everything it calls does one thing.
"""

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from server.aside import off_loop
from server.core.attachments import Attachments
from server.core.attempt import Attempt
from server.core.repairs import MEDIA_NAMED, THINKING_NAMED, Repairs
from server.core.request_record import Exchange
from server.core.retry import Retries
from server.core.throttle import Throttle, Ticket
from server.errors import AuthenticationError, BadRequestError, NotOfferedError, ProxyError
from server.gemini.catalogue import catalogue
from server.gemini.estimate import estimate_tokens
from server.gemini.events import Event
from server.gemini.fit import fit, without_media, without_thinking
from server.gemini.models import Aliases, Meant, Model, bare_name, describe
from server.gemini.types import Call, Content, Count, EmbedCall, Embedding, GenerateRequest, Usage
from server.inspector import Inspector
from server.json_codec import dumps
from server.logs import redact
from server.storage.signatures import SignatureStore
from server.storage.usage import UsageLog
from server.upstreams.base import Outgoing, Turn, Upstream
from server.upstreams.choice import Doors
from server.upstreams.embedding import embedder, embedding_model, texts_of
from server.upstreams.learned_models import LearnedModels
from server.upstreams.model_refusals import ModelRefusedError, refused

COUNT_TIMEOUT_S = 2.0
COUNTS_AT_ONCE = 4
COUNTS_KEPT = 512
CHOICES_KEPT = 64

_NAMESPACE = uuid.UUID("6f9d6a56-5a0e-5b5c-9a43-6a0f5f1f7a10")


@dataclass(slots=True)
class Pipeline:
    """The parts every request passes through."""

    doors: Doors
    throttle: Throttle
    usage: UsageLog
    signatures: SignatureStore
    attachments: Attachments
    repairs: Repairs
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    live: dict[str, Exchange] = field(default_factory=dict)
    """Requests being answered right now, by id; for the pages."""
    quiet: Callable[[], None] = lambda: None
    """Called when the last request under way has ended."""
    inspector: Inspector = field(default_factory=lambda: Inspector(redact))
    _choices: dict[str, "Choice"] = field(default_factory=dict)
    """What names meant lately, while all is as it was then."""
    _counts: OrderedDict[bytes, Count] = field(default_factory=OrderedDict)
    _counting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(COUNTS_AT_ONCE))

    @contextlib.contextmanager
    def recorded(self, exchange: Exchange) -> Iterator[None]:
        """Around all that happens to a request: it writes the one usage entry, whatever happens."""
        self.live[exchange.id] = exchange
        self.usage.metrics.in_flight += 1
        self.usage.publish({"type": "started", "id": exchange.id, "client": exchange.client})
        try:
            yield
        except ProxyError as error:
            exchange.fail(error)
            raise
        except asyncio.CancelledError:
            exchange.outcome = "cancelled"
            raise
        except BaseException as error:
            exchange.outcome, exchange.error = "internal", type(error).__name__
            raise
        finally:
            del self.live[exchange.id]
            self.usage.metrics.in_flight -= 1
            self.usage.record(exchange.entry(), exchange.retry_after_s)
            if not self.live:
                self.quiet()

    async def generate(
        self, call: Call, exchange: Exchange
    ) -> AsyncGenerator[Sequence[Event], None]:
        """The answer, batch by batch; the last event of every choice is its ``Finish``.

        Raises ``ProxyError``: before the first batch nothing has been sent to the client, after it
        the failure belongs inside the stream.
        """
        exchange.accept(call)
        upstream = self.doors.chosen()
        exchange.upstream = upstream.name
        choice = await self._choice(call.model, upstream)
        exchange.model = choice.meant.models[0].id
        choice.check()
        await self._settle(call, upstream)
        for model in choice.meant.models:
            exchange.model, exchange.served, begun = model.id, "", False
            try:
                answers = await self._answers(call, choice, model, exchange)
                async with aclosing(answers) as batches:
                    async for batch in batches:
                        begun = True
                        exchange.answered()
                        yield batch
            except ModelRefusedError as error:
                if begun:
                    raise
                await self._learn(choice, model, error)
                if not choice.goes_on(after=model):
                    raise choice.refusal(model, error) from error
                exchange.instead_of = exchange.instead_of or model.id
            else:
                return

    async def _choice(self, name: str, upstream: Upstream) -> "Choice":
        """What ``name`` means at ``upstream``. Raises ``NotFoundError``."""
        available = await self.doors.available(upstream)
        aliases = self.doors.aliases(upstream)
        kept = self._choices.get(name)
        if kept and kept.is_of(upstream, aliases, available):
            return kept
        meant = aliases.meant(name, available)
        choice = Choice(upstream, aliases, available, meant, self.doors.learned)
        if len(self._choices) >= CHOICES_KEPT:
            self._choices.clear()
        self._choices[name] = choice
        return choice

    async def _learn(self, choice: "Choice", model: Model, error: ModelRefusedError) -> None:
        """Keep what was refused; not that a model of another kind cannot do this operation."""
        if model.embeds != choice.embeds:
            return
        if await self.doors.learned.refuse(choice.upstream.credential, model.id, error.why):
            self.usage.publish({"type": "changed"})

    async def _answers(
        self, call: Call, choice: "Choice", model: Model, exchange: Exchange
    ) -> AsyncGenerator[Sequence[Event], None]:
        """What one model answers; all choices of it."""
        out, dropped = await off_loop(lambda: self._fitted(call, choice, model), when=call.large)
        exchange.dropped = call.dropped + dropped
        answers = [
            self._answer(call, choice.upstream, out, exchange, number)
            for number in range(call.choices)
        ]
        return answers[0] if len(answers) == 1 else merged(answers)

    def _fitted(
        self, call: Call, choice: "Choice", model: Model
    ) -> tuple[Outgoing, tuple[str, ...]]:
        """The request for ``model`` by the rules of the one that answers for it, and the fields
        that had to go. What this model is known to refuse goes as it was taken before."""
        rules = choice.rules(model)
        fitted = fit(call, rules, self.signatures)
        answering = "" if rules is model else rules.id
        if call.verbatim:
            return outgoing(call, model, fitted.request, answering), fitted.dropped
        lane = (choice.upstream.name, model.id)
        known = self.repairs.apply(lane, self.repairs.bypass(lane, fitted.request))
        request, dropped = known.request, fitted.dropped + known.dropped
        if self.repairs.refuses_thinking(lane, request):
            request, dropped = without_thinking(request), (*dropped, THINKING_NAMED)
        out = outgoing(call, model, request, answering)
        if self.repairs.unreadable(lane, out.past_media):
            bare = without_media(out.request, out.past_media)
            return replace(out, request=bare, past_media=()), (*dropped, MEDIA_NAMED)
        return out, dropped

    @staticmethod
    async def _taken(retries: Retries, exchange: Exchange) -> None:
        """Google took the request, as ``retries`` has mended it."""
        exchange.dropped = tuple(dict.fromkeys((*exchange.dropped, *retries.dropped)))
        await retries.worked()

    async def _answer(
        self, call: Call, upstream: Upstream, out: Outgoing, exchange: Exchange, choice: int
    ) -> AsyncGenerator[Sequence[Event], None]:
        """One choice: attempts, until one of them has something for the client."""
        ticket = self.throttle.ticket((upstream.name, out.model))
        exchange.tickets.append(ticket)
        retries = Retries(ticket, self.sleep, self.repairs, call.verbatim)
        out = replace(out, again=_again(ticket, exchange))
        await ticket.turn(further=choice > 0 or exchange.attempts > 0)
        if ticket.waited_s:
            self._look_again(upstream, out.model)
        while True:
            exchange.attempts += 1
            attempt = Attempt(
                call, out, exchange, choice, self.signatures, accept_empty=retries.blips > 0
            )
            sent = False
            try:
                async with aclosing(attempt.events(upstream)) as batches:
                    if call.stream:
                        async for batch in batches:
                            if not sent:
                                await self._taken(retries, exchange)
                            sent = True
                            yield batch
                    else:
                        # Nothing leaves before the end, so even a late failure can be repeated.
                        whole = [event async for batch in batches for event in batch]
                        await self._taken(retries, exchange)
                        sent = True
                        yield whole
            except ProxyError as error:
                if sent:
                    raise
                out = await retries.again(error, out)
            else:
                await self.doors.learned.answered(
                    upstream.credential, out.model, attempt.answered_by, attempt.status
                )
                return

    async def _settle(self, call: Call, upstream: Upstream) -> None:
        """Fill the parts of ``call`` that media stand in; what could not be had is named."""
        base = self.doors.settings.google_gemini_base_url
        call.dropped += await self.attachments.settle(call, upstream.name, base)

    def _look_again(self, upstream: Upstream, model: str) -> None:
        """Raises the refusal that another request has met while this one waited for its turn."""
        mark = self.doors.learned.mark(upstream.credential, model)
        if mark is not None:
            raise refused(model, mark.why, "", None)

    async def count(self, call: Call) -> tuple[Count, bool]:
        """Tokens of what would be sent, and whether that is only an estimate.

        Never queued, and never fails because of upstream: editors ask for it all the time. Raises
        only for what is wrong with the request itself.
        """
        try:
            upstream = self.doors.chosen()
        except AuthenticationError:
            return Count(estimate_tokens(call.request)), True
        choice = await self._choice(call.model, upstream)
        await self._settle(call, upstream)
        request = call.request
        for model in choice.meant.models:
            out, key = await off_loop(
                partial(self._countable, call, choice, model), when=call.large
            )
            request = out.request
            if model.id in choice.aliases.refused:
                break
            try:
                return await self._counted(upstream, out, key), False
            except ModelRefusedError as error:
                if not await self._learn_from_count(choice, model, error):
                    break
            except (ProxyError, TimeoutError) as error:
                if call.verbatim and isinstance(error, BadRequestError):
                    raise  # nobody else has judged this request
                break
        return Count(estimate_tokens(request)), True

    def _countable(self, call: Call, choice: "Choice", model: Model) -> tuple[Outgoing, bytes]:
        out, _ = self._fitted(call, choice, model)
        return out, _digest(choice.upstream.name, out)

    async def _counted(self, upstream: Upstream, out: Outgoing, key: bytes) -> Count:
        """Google's count, asked once. Raises ``ProxyError``, ``TimeoutError``."""
        if key not in self._counts:
            async with asyncio.timeout(COUNT_TIMEOUT_S), self._counting:
                self._counts[key] = await upstream.count_tokens(out)
            if len(self._counts) > COUNTS_KEPT:
                self._counts.popitem(last=False)
        self._counts.move_to_end(key)
        return self._counts[key]

    async def _learn_from_count(
        self, choice: "Choice", model: Model, error: ModelRefusedError
    ) -> bool:
        """Whether what refuses a count is refused altogether, and so is kept: models that chat can
        be counted for. A licence is judged by answers alone."""
        if not model.chats or error.why == "licence":
            return False
        await self._learn(choice, model, error)
        return True

    async def embed(self, call: EmbedCall, exchange: Exchange) -> Embedding:
        """Vectors; real where the upstream has them, otherwise mock ones that say so."""
        exchange.accept(call)
        upstream = self.doors.chosen()
        exchange.upstream = upstream.name
        exchange.model = self.doors.settings.aliases.get(call.model, bare_name(call.model))
        if upstream.embeds:
            embedding = await self._embed_upstream(call, upstream, exchange)
        elif self.doors.settings.embeddings == "off":
            raise NotOfferedError(
                f"The upstream {upstream.name} has no embeddings, and EMBEDDINGS=off refuses mock "
                "vectors. Choose the gemini-api or vertex upstream."
            )
        else:
            embedding = await upstream.embed(call, exchange.model)
        exchange.mock = embedding.mock
        exchange.usage_by_request[exchange.attempts] = Usage(
            prompt_tokens=embedding.prompt_tokens, estimated=embedding.estimated
        )
        return embedding

    async def _embed_upstream(
        self, call: EmbedCall, upstream: Upstream, exchange: Exchange
    ) -> Embedding:
        """Google's vectors. A name of OpenAI's leads to the first embedding model that is listed
        and not refused. Raises ``BadRequestError`` and, for what makes no vectors,
        ``NotFoundError`` without asking."""
        texts_of(call)
        name, aliases = exchange.model, self.doors.aliases(upstream)
        listed = await self.doors.available(upstream)
        while True:
            refused_now = self.doors.learned.refused(upstream.credential)
            there = [model for model in listed if model.id not in refused_now]
            exchange.model = embedding_model(name, there)
            model = embedder(exchange.model, there)
            choice = Choice(upstream, aliases, there, Meant((model,)), self.doors.learned, True)
            choice.check()
            try:
                return await self._embed_with(call, upstream, exchange)
            except ModelRefusedError as error:
                await self._learn(choice, model, error)
                if exchange.model == name:
                    raise choice.refusal(model, error) from error

    async def _embed_with(
        self, call: EmbedCall, upstream: Upstream, exchange: Exchange
    ) -> Embedding:
        ticket = self.throttle.ticket((upstream.name, exchange.model))
        exchange.tickets.append(ticket)
        retries = Retries(ticket, self.sleep, self.repairs)
        out = Outgoing(model=exchange.model, request={}, session="", prompt_id="")
        await ticket.turn(further=exchange.attempts > 0)
        while True:
            exchange.attempts += 1
            try:
                return await upstream.embed(call, exchange.model, _again(ticket, exchange))
            except ProxyError as error:
                await retries.again(error, out)

    async def models(self) -> list[Model]:
        """Every name a client may ask for: the upstream's models, then the aliases."""
        return self.doors.aliases().listed(await self.doors.available())

    async def model(self, name: str) -> Model:
        """The list entry for one name. Raises ``NotFoundError``."""
        return self.doors.aliases().find(name, await self.doors.available())


@dataclass(frozen=True, slots=True)
class Choice:
    """What a name means for one request: the models to try, and what is known of them."""

    upstream: Upstream
    aliases: Aliases
    available: Sequence[Model]
    meant: Meant
    learned: LearnedModels
    embeds: bool = False
    """Whether vectors are wanted."""

    def is_of(self, upstream: Upstream, aliases: Aliases, available: Sequence[Model]) -> bool:
        """Whether nothing has changed since."""
        same = self.upstream is upstream and self.aliases is aliases
        return same and self.available == available

    def check(self) -> None:
        """Raises the refusal that is already known, where exactly that model was asked for."""
        model = self.meant.models[0]
        mark = self.learned.mark(self.upstream.credential, model.id)
        if mark is not None and self.meant.tier is None:
            since = time.strftime("%H:%M", time.localtime(mark.since))
            said = f"Google said so at {since}; check again on the set-up page to ask anew."
            raise refused(model.id, mark.why, said, self._instead_of(model))

    def goes_on(self, *, after: Model) -> bool:
        """Whether another model may answer in the place of ``after``."""
        return self.meant.tier is not None and after is not self.meant.models[-1]

    def refusal(self, model: Model, error: ModelRefusedError) -> ModelRefusedError:
        """The refusal for the client, with what to use instead."""
        return refused(model.id, error.why, error.message, self._instead_of(model))

    def rules(self, model: Model) -> Model:
        """The model whose rules hold: the one known to answer for it, unless it is a name of which
        nothing is known (what a gateway on the way to Google calls it)."""
        by = self.learned.answering(self.upstream.credential, model.id)
        if by is None:
            by = catalogue().answering(model.id, self.aliases.door, self.aliases.on).id
        answering = model if by == model.id else describe(by)
        return model if answering.kind == "other" else answering

    def _instead_of(self, model: Model) -> str | None:
        refused_now = self.learned.refused(self.upstream.credential)
        return replace(self.aliases, refused=refused_now).successor(model.id, self.available)


def _again(ticket: Ticket, exchange: Exchange) -> Turn:
    """The turn for each further request of ``exchange``, which counts it."""

    async def again() -> None:
        await ticket.turn(further=True)
        exchange.attempts += 1

    return again


def outgoing(call: Call, model: Model, request: GenerateRequest, answering: str = "") -> Outgoing:
    """The request with its ids: a session per conversation and model, a prompt id per user prompt.

    Both are hashes, so nothing of the client's own ids leaves the machine. Gemini CLI changes the
    session with the model, and keeps the prompt id through the tool rounds of one prompt.
    """
    contents = request.get("contents") or []
    seed = call.session or dumps(contents[:1]).decode()
    session = uuid.uuid5(_NAMESPACE, f"{model.id}\n{seed}")
    prompts = [content for content in contents if _is_prompt(content)]
    last = dumps(prompts[-1:]).decode()
    return Outgoing(
        model=model.id,
        answering=answering,
        request=request,
        session=str(session),
        prompt_id=str(uuid.uuid5(session, f"{len(prompts)}\n{last}")),
        unary=call.verbatim and not call.stream,
        verbatim=call.verbatim,
        large=call.large,
        past_media=tuple(call.past_media),
    )


def _is_prompt(content: Content) -> bool:
    """Gemini's own dialect is not read before this: its parts may be anything."""
    parts: object = content.get("parts")
    if content.get("role") != "user":
        return False
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and "functionResponse" in part:
            return False
    return True


def _digest(upstream: str, out: Outgoing) -> bytes:
    return hashlib.sha256(dumps([upstream, out.model, out.request])).digest()


async def merged(
    answers: Sequence[AsyncGenerator[Sequence[Event], None]],
) -> AsyncGenerator[Sequence[Event], None]:
    """Batches of several answers as they come; the first failure ends them all."""
    queue: asyncio.Queue[Sequence[Event] | Exception | None] = asyncio.Queue(maxsize=1)

    async def forward(answer: AsyncGenerator[Sequence[Event], None]) -> None:
        try:
            async with aclosing(answer):
                async for batch in answer:
                    await queue.put(batch)
            await queue.put(None)
        except Exception as error:  # noqa: BLE001  # whoever waits must hear of any
            await queue.put(error)

    tasks = [asyncio.create_task(forward(answer)) for answer in answers]
    try:
        left = len(tasks)
        while left:
            item = await queue.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
