"""The pipeline: one path, told as conversations with a scripted upstream."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from server.core.attachments import Attachments
from server.core.downloads import Fetcher
from server.core.pipeline import Pipeline
from server.core.repairs import Repairs
from server.core.request_record import Exchange
from server.core.throttle import Throttle
from server.errors import (
    BrokenAnswerError,
    OverloadedError,
    ProxyError,
    RateLimitError,
    SchemaRejectedError,
    SignatureRejectedError,
    ThinkingRejectedError,
    UpstreamError,
)
from server.gemini.events import Event, Finish, FunctionCall, TextDelta, UsageSeen
from server.gemini.models import Aliases, Model, living_models
from server.gemini.schema import simplify
from server.gemini.signatures import BYPASS
from server.gemini.types import Call, Chunk, Count, EmbedCall, Embedding, Json, Thinking
from server.settings.load import Settings
from server.storage.metrics import Metrics
from server.storage.signatures import SignatureStore
from server.storage.usage import Entry, UsageLog
from server.upstreams.base import Account, Outgoing, Turn, at_once
from server.upstreams.learned_models import LearnedModels
from tests.clock import FakeClock, settle
from tests.support import HANGS_S

USAGE: Json = {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}
Step = Chunk | Exception | asyncio.Event


def chunk(*parts: Json, finish: str | None = None, usage: Json | None = USAGE) -> Chunk:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    if finish:
        candidate["finishReason"] = finish
    made: Chunk = {"candidates": [candidate]}
    if usage is not None:
        made["usageMetadata"] = usage
    return made


def text(words: str, **more: Any) -> Chunk:
    return chunk({"text": words}, **more)


OK: list[Step] = [text("Hello "), text("there", finish="STOP")]


@dataclass
class Scripted:
    """An upstream that answers from a script, one list of steps per request."""

    script: list[list[Step]]
    name: str = "scripted"
    credential: str = "hash"
    embeds: bool = True
    sent: list[Outgoing] = field(default_factory=list)
    closed: int = 0
    counted: int = 0
    count: Callable[[], Any] = lambda: 42

    async def generate(self, out: Outgoing) -> AsyncGenerator[list[Chunk], None]:
        self.sent.append(out)
        steps = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        try:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield [step]
        finally:
            self.closed += 1

    async def count_tokens(self, out: Outgoing) -> Count:
        self.counted += 1
        result = self.count()
        if isinstance(result, ProxyError):
            raise result
        if isinstance(result, asyncio.Event):
            await result.wait()
        assert isinstance(result, int)
        return Count(result, {"totalTokens": result})

    async def embed(self, call: EmbedCall, model: str, again: Turn = at_once) -> Embedding:
        assert model
        return Embedding(tuple((1.0,) for _ in call.inputs), 5)

    async def models(self) -> tuple[Model, ...]:
        return living_models("free")

    def account(self) -> Account:
        return Account(authenticated=True)

    async def check(self) -> Account:
        return self.account()

    async def aclose(self) -> None:
        pass


@dataclass
class OneDoor:
    """What the pipeline needs of ``Doors``."""

    upstream: Scripted
    settings: Settings
    memory: LearnedModels
    rules: Aliases = field(default_factory=Aliases)

    @property
    def learned(self) -> LearnedModels:
        return self.memory

    def aliases(self, upstream: object = None) -> Aliases:
        return replace(self.rules, refused=self.memory.refused(self.upstream.credential))

    def chosen(self) -> Scripted:
        return self.upstream

    async def available(self, upstream: object = None) -> tuple[Model, ...]:
        return living_models("free")


class House:
    """A pipeline with everything around it, and the entries it records."""

    def __init__(self, data_dir: Path, *, wait_mode: bool = False, rate_limit_s: float = 0) -> None:
        self.clock = FakeClock()
        self.throttle = Throttle(
            wait_mode=wait_mode,
            rate_limit_s=rate_limit_s,
            now=self.clock.now,
            sleep=self.clock.sleep,
        )
        self.usage = UsageLog(data_dir, Metrics())
        self.signatures = SignatureStore(data_dir)
        self.upstream = Scripted([OK])
        self.entries: list[Entry] = []
        record = self.usage.record

        def keep(entry: Entry, retry_after_s: float | None = None) -> None:
            self.entries.append(entry)
            record(entry, retry_after_s)

        self.usage.record = keep  # type: ignore[method-assign]
        door: Any = OneDoor(self.upstream, Settings(data_dir=data_dir), LearnedModels(data_dir))
        self.pipeline = Pipeline(
            door,
            self.throttle,
            self.usage,
            self.signatures,
            Attachments(Fetcher()),
            Repairs(data_dir),
            self.clock.sleep,
        )

    def script(self, *answers: list[Step]) -> None:
        self.upstream.script = list(answers)

    async def ask(self, call: Call) -> list[Event]:
        """Run one call to its end, time passing as needed."""
        task = asyncio.create_task(self.events(call))
        for _ in range(200):
            await settle()
            if task.done():
                break
            await self.clock.advance(1)
        return await task

    async def events(self, call: Call, seen: list[Event] | None = None) -> list[Event]:
        seen = [] if seen is None else seen
        exchange = Exchange(id="req_1", dialect="test", operation="generate", client="pytest")
        with self.pipeline.recorded(exchange):
            async with contextlib.aclosing(self.pipeline.generate(call, exchange)) as batches:
                async for batch in batches:
                    seen.extend(batch)
        return seen


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    yield made
    made.usage.close()
    made.signatures.close()


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path, wait_mode=True)
    yield made
    made.throttle.close()
    made.usage.close()
    made.signatures.close()


def call(words: str = "hi", *, model: str = "gemini-2.5-pro", **more: Any) -> Call:
    contents: Any = more.pop("contents", [{"role": "user", "parts": [{"text": words}]}])
    more.setdefault("stream", True)
    return Call(dialect="test", model=model, request={"contents": contents}, **more)


def words_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_ends_with_one_finish_and_one_entry(house: House, stream: bool) -> None:
    events = await house.ask(call(stream=stream))
    assert words_of(events) == "Hello there"
    assert [e for e in events if isinstance(e, Finish)] == [events[-1]]
    (entry,) = house.entries
    assert (entry.outcome, entry.attempts, entry.model) == ("ok", 1, "gemini-2.5-pro")
    assert (entry.usage.prompt_tokens, entry.usage.output_tokens) == (7, 5)
    assert not house.pipeline.live


async def test_blips_are_bridged_twice_and_no_more(house: House) -> None:
    blip: list[Step] = [OverloadedError("no capacity")]
    house.script(blip, [UpstreamError("500")], OK)
    assert words_of(await house.ask(call())) == "Hello there"
    assert house.entries[0].attempts == 3
    house.script(blip)
    with pytest.raises(OverloadedError):
        await house.ask(call())
    assert house.entries[1].attempts == 3
    assert house.entries[1].outcome == "overloaded"


async def test_a_refusal_with_a_delay_is_told_at_once_and_holds_the_lane(house: House) -> None:
    house.script([RateLimitError("slow down", source="quota", retry_after_s=7.3)])
    for waited in (7.3, 7.3):
        with pytest.raises(RateLimitError) as caught:
            await house.events(call())
        assert caught.value.retry_after_s == pytest.approx(waited)
    assert len(house.upstream.sent) == 1
    assert [e.attempts for e in house.entries] == [1, 0]


async def test_wait_mode_waits_the_delay_out_and_sends_again(patient: House) -> None:
    patient.script([RateLimitError("slow down", source="quota", retry_after_s=7.3)], OK)
    assert words_of(await patient.ask(call())) == "Hello there"
    assert patient.entries[0].queue_wait_ms == pytest.approx(7300, abs=10)


async def test_wait_mode_gives_up_after_three_refusals(patient: House) -> None:
    patient.script([RateLimitError("slow down", source="quota", retry_after_s=5)])
    with pytest.raises(RateLimitError) as caught:
        await patient.ask(call())
    assert caught.value.retry_after_s == 5
    assert patient.entries[0].attempts == 3


@pytest.mark.parametrize(
    "refusal",
    [
        RateLimitError("daily quota", source="quota", retry_after_s=30, exhausted=True),
        RateLimitError("later", source="quota", retry_after_s=3600),
    ],
)
async def test_a_refusal_of_hours_is_answered_at_once_even_in_wait_mode(
    patient: House, refusal: RateLimitError
) -> None:
    patient.script([refusal])
    with pytest.raises(RateLimitError):
        await patient.events(call())
    assert patient.entries[0].attempts == 1


PATTERN: Json = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x"}}}
MINUTES: Json = {"type": "object", "properties": {"m": {"type": "integer", "enum": [60, 1440]}}}
REFUSED = SchemaRejectedError("no", where="tools[0].function_declarations[1].parameters: no")


def with_tools(*schemas: Json) -> Call:
    wanted = call()
    declared = [
        {"name": f"t{i}", "description": "", "parametersJsonSchema": schema}
        for i, schema in enumerate(schemas)
    ]
    wanted.request["tools"] = [{"functionDeclarations": declared}]
    return wanted


def schemas_sent(house: House) -> list[list[Json]]:
    return [
        [d["parametersJsonSchema"] for d in out.request["tools"][0]["functionDeclarations"]]
        for out in house.upstream.sent
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_tool_list_is_repaired_once_and_sent_repaired_from_then_on(
    house: House, stream: bool
) -> None:
    plain = simplify(PATTERN)
    for turn in range(4):
        house.upstream.sent.clear()
        house.script([REFUSED], OK) if turn == 0 else house.script(OK)
        wanted = with_tools(MINUTES, PATTERN)
        wanted.stream = stream
        await house.ask(wanted)
        refused = [[MINUTES, PATTERN]] if turn == 0 else []
        assert schemas_sent(house) == [*refused, [MINUTES, plain]]
    assert [entry.attempts for entry in house.entries] == [2, 1, 1, 1]


async def test_where_the_named_tool_was_not_all_everything_is_made_plainer(house: House) -> None:
    house.script([REFUSED], [REFUSED], OK)
    await house.ask(with_tools(MINUTES, PATTERN))
    plain = [simplify(MINUTES), simplify(PATTERN)]
    assert schemas_sent(house)[1:] == [[MINUTES, plain[1]], plain]
    house.script(OK)
    await house.ask(with_tools(MINUTES, PATTERN))
    assert schemas_sent(house)[3:] == [plain]


async def test_a_repair_that_did_not_help_is_not_remembered(house: House) -> None:
    house.script([REFUSED])
    with pytest.raises(SchemaRejectedError):
        await house.ask(with_tools(MINUTES, PATTERN))
    assert house.entries[0].attempts == 3
    house.upstream.sent.clear()
    house.script(OK)
    await house.ask(with_tools(MINUTES, PATTERN))
    assert schemas_sent(house) == [[MINUTES, PATTERN]]


async def test_a_repair_names_what_says_less(house: House) -> None:
    house.script([REFUSED], OK)
    for _ in range(2):
        exchange = Exchange(id="r", dialect="test", operation="generate", client="c")
        async for _events in house.pipeline.generate(with_tools(MINUTES, PATTERN), exchange):
            pass
        assert exchange.dropped == ("tools.functionDeclarations.parametersJsonSchema",)


@pytest.mark.parametrize(
    "kind", [SchemaRejectedError, SignatureRejectedError, ThinkingRejectedError]
)
async def test_what_no_repair_changes_is_not_sent_again(
    house: House, kind: type[ProxyError]
) -> None:
    house.script([kind("m")], OK)
    with pytest.raises(kind):
        await house.ask(call())
    assert house.entries[0].attempts == 1


async def test_a_refused_signature_is_replaced_once_by_the_bypass(house: House) -> None:
    events = await signed_call(house)
    house.script([SignatureRejectedError("Corrupted thought signature.")], OK)
    await house.ask(answered(events))
    assert signatures_sent(house) == [["c2lnbmVk"], [BYPASS]]


async def test_a_bypass_that_helped_is_sent_at_once_from_then_on(house: House) -> None:
    made = await signed_call(house)
    for turn in range(4):
        house.upstream.sent.clear()
        refused = SignatureRejectedError("Corrupted thought signature.")
        house.script([refused], OK) if turn == 0 else house.script(OK)
        await house.ask(answered(made))
        first = [["c2lnbmVk"]] if turn == 0 else []
        assert signatures_sent(house) == [*first, [BYPASS]]
    assert [entry.attempts for entry in house.entries][1:] == [2, 1, 1, 1]


async def test_a_bypass_that_did_not_help_is_not_remembered(house: House) -> None:
    made = await signed_call(house)
    house.script([SignatureRejectedError("Corrupted thought signature.")])
    with pytest.raises(SignatureRejectedError):
        await house.ask(answered(made))
    house.upstream.sent.clear()
    house.script(OK)
    await house.ask(answered(made))
    assert signatures_sent(house) == [["c2lnbmVk"]]


async def signed_call(house: House) -> FunctionCall:
    part = {
        "functionCall": {"name": "look", "args": {}, "id": "up1"},
        "thoughtSignature": "c2lnbmVk",
    }
    house.script([chunk(part, finish="STOP")])
    events = await house.ask(call(model="gemini-3-pro-preview"))
    house.upstream.sent.clear()
    return next(event for event in events if isinstance(event, FunctionCall))


def answered(made: FunctionCall, model: str = "gemini-3-pro-preview") -> Call:
    called = {"functionCall": {"id": made.id, "name": "look", "args": {}}}
    result = {"functionResponse": {"id": made.id, "name": "look", "response": {"output": "ok"}}}
    return call(
        model=model,
        contents=[
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [called]},
            {"role": "user", "parts": [result]},
        ],
    )


def signatures_sent(house: House) -> list[list[str]]:
    return [
        [
            part["thoughtSignature"]
            for content in out.request["contents"]
            for part in content["parts"]
            if "thoughtSignature" in part
        ]
        for out in house.upstream.sent
    ]


async def test_a_signature_comes_back_by_tool_call_id_also_after_a_restart(
    house: House, tmp_path: Path
) -> None:
    made = await signed_call(house)
    house.signatures._store.flush()
    later = House(tmp_path)
    later.script(OK)
    await later.ask(answered(made))
    await later.ask(answered(made, model="gemini-3-flash-preview"))
    sent = later.upstream.sent[0].request["contents"]
    assert signatures_sent(later) == [["c2lnbmVk"], [BYPASS]]
    assert sent[1]["parts"][0]["functionCall"]["id"] == "up1"
    assert sent[2]["parts"][0]["functionResponse"]["id"] == "up1"
    later.usage.close()
    later.signatures.close()


CUT: list[Step] = [text("Hel")]
MALFORMED: list[Step] = [chunk(finish="MALFORMED_FUNCTION_CALL")]


@pytest.mark.parametrize("broken", [[], MALFORMED, [chunk(finish="OTHER")], [{"candidates": []}]])
async def test_a_broken_end_is_asked_again_while_nothing_was_sent(
    house: House, broken: list[Step]
) -> None:
    house.script(broken, broken, OK)
    assert words_of(await house.ask(call())) == "Hello there"
    house.script(broken)
    with pytest.raises(BrokenAnswerError):
        await house.ask(call())
    assert [e.attempts for e in house.entries] == [3, 3]


async def test_after_content_a_broken_end_is_an_error_never_a_normal_end(house: House) -> None:
    house.script(CUT)
    seen: list[Event] = []
    with pytest.raises(BrokenAnswerError):
        await house.events(call(), seen)
    assert words_of(seen) == "Hel"
    assert not any(isinstance(event, Finish) for event in seen)
    assert (house.entries[0].outcome, house.entries[0].attempts) == ("broken_answer", 1)


async def test_a_call_that_does_not_stream_is_asked_again_even_after_content(house: House) -> None:
    house.script(CUT, OK)
    assert words_of(await house.ask(call(stream=False))) == "Hello there"


async def test_other_with_content_is_a_normal_end(house: House) -> None:
    house.script([text("fine", finish="OTHER")])
    events = await house.ask(call())
    assert isinstance(events[-1], Finish)
    assert events[-1].reason == "OTHER"


async def test_an_empty_answer_is_asked_again_once_then_passed_on(house: House) -> None:
    house.script([chunk(finish="STOP")])
    events = await house.ask(call())
    assert house.entries[0].attempts == 2
    assert [type(event) for event in events] == [UsageSeen, Finish]


async def test_thoughts_alone_are_a_normal_end(house: House) -> None:
    house.script([chunk({"text": "hm", "thought": True}, finish="STOP")])
    await house.ask(call())
    assert (house.entries[0].outcome, house.entries[0].attempts) == ("ok", 1)


async def test_a_blocked_prompt_is_an_answer(house: House) -> None:
    house.script([{"promptFeedback": {"blockReason": "SAFETY"}}])
    events = await house.ask(call())
    assert isinstance(events[-1], Finish)
    assert (events[-1].reason, events[-1].detail) == ("BLOCKED", "SAFETY")


async def test_a_stop_sequence_ends_the_answer_and_the_request_upstream(house: House) -> None:
    never = asyncio.Event()
    house.script([text("one\nObserv"), text("ation: two"), never])
    events = await house.ask(call(stop=("\nObservation:",)))
    assert words_of(events) == "one"
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.detail) == ("STOP_SEQUENCE", "\nObservation:")
    assert house.upstream.closed == 1
    assert house.entries[0].outcome == "ok"


async def test_without_parallel_calls_only_the_first_is_passed_on(house: House) -> None:
    calls = [{"functionCall": {"name": name, "args": {}}} for name in "ab"]
    house.script([chunk(*calls, finish="STOP")])
    events = await house.ask(call(parallel_tool_calls=False))
    assert [e.name for e in events if isinstance(e, FunctionCall)] == ["a"]


async def test_choices_are_requests_of_their_own_and_their_usage_adds_up(house: House) -> None:
    events = await house.ask(call(choices=3))
    assert sorted(e.choice for e in events if isinstance(e, Finish)) == [0, 1, 2]
    (entry,) = house.entries
    assert (entry.attempts, entry.usage.prompt_tokens) == (3, 21)


async def test_one_failing_choice_ends_the_others(house: House) -> None:
    never = asyncio.Event()
    house.script([text("a"), never], [RateLimitError("no", source="quota", exhausted=True)])
    with pytest.raises(RateLimitError):
        await house.ask(call(choices=2))
    assert house.upstream.closed == 2


async def test_a_fault_of_ours_in_one_choice_ends_them_all(house: House) -> None:
    """Nobody waits for an answer that will not come."""
    house.script([text("a"), asyncio.Event()], [KeyError("ours")])
    with pytest.raises(KeyError):
        async with asyncio.timeout(HANGS_S):
            await house.ask(call(choices=2))
    assert house.upstream.closed == 2


async def test_a_client_that_leaves_cancels_the_request_upstream(house: House) -> None:
    never = asyncio.Event()
    house.script([text("a"), never])
    task = asyncio.create_task(house.events(call()))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.upstream.closed == 1
    (entry,) = house.entries
    assert (entry.outcome, entry.usage.prompt_tokens) == ("cancelled", 7)


async def test_missing_usage_is_estimated_and_says_so(house: House) -> None:
    house.script([text("Hello there", finish="STOP", usage=None)])
    events = await house.ask(call())
    assert house.entries[0].usage.estimated
    assert house.entries[0].usage.output_tokens == 3
    assert isinstance(events[-2], UsageSeen)


async def test_an_unknown_model_is_recorded_as_such(house: House) -> None:
    with pytest.raises(ProxyError, match="does not exist"):
        await house.ask(call(model="llama-3"))
    assert (house.entries[0].outcome, house.entries[0].asked) == ("not_found", "llama-3")


async def test_sessions_are_stable_per_conversation_and_model(house: House) -> None:
    await house.ask(call("one"))
    await house.ask(call("one"))
    await house.ask(call("one", model="gemini-2.5-flash"))
    await house.ask(call("two"))
    await house.ask(call("two", session="abc"))
    first, same, other_model, other, named = (out.session for out in house.upstream.sent)
    assert first == same
    assert len({first, other_model, other, named}) == 4


async def test_rate_limit_spaces_retries_too(tmp_path: Path) -> None:
    house = House(tmp_path, wait_mode=True, rate_limit_s=10)
    house.script([OverloadedError("busy")], OK)
    start = house.clock.now()
    await house.ask(call())
    assert house.clock.now() - start >= 10
    house.throttle.close()
    house.usage.close()
    house.signatures.close()


@pytest.mark.parametrize(
    "failure",
    [OverloadedError("busy"), BrokenAnswerError("cut"), SignatureRejectedError("corrupted")],
)
async def test_without_wait_mode_a_retry_waits_only_for_its_spacing(
    tmp_path: Path, failure: ProxyError
) -> None:
    """With RATE_LIMIT on, no blip was bridged and nothing repaired (reports A13)."""
    house = House(tmp_path, rate_limit_s=10)
    asked = answered(await signed_call(house))
    house.script([failure], OK)
    await house.clock.advance(10)
    start = house.clock.now()
    await house.ask(asked)
    assert house.clock.now() - start >= 10
    assert len(house.upstream.sent) == 2
    house.throttle.close()
    house.usage.close()
    house.signatures.close()


async def test_a_retry_that_meets_a_pause_gives_its_own_reason(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.script([OverloadedError("busy")], OK)

    async def meanwhile(delay_s: float) -> None:
        house.throttle.hold(("scripted", "gemini-2.5-pro"), 30)

    house.pipeline.sleep = meanwhile
    with pytest.raises(OverloadedError):
        await house.ask(call())
    house.usage.close()
    house.signatures.close()


async def test_counts_are_cached_and_never_queued(patient: House) -> None:
    patient.throttle.hold(("scripted", "gemini-2.5-pro"), 50)
    known = Count(42, {"totalTokens": 42})
    assert await patient.pipeline.count(call()) == (known, False)
    assert await patient.pipeline.count(call()) == (known, False)
    assert patient.upstream.counted == 1
    await patient.pipeline.count(call("other"))
    assert patient.upstream.counted == 2
    assert not patient.entries


async def test_a_count_upstream_cannot_give_is_an_estimate(house: House) -> None:
    house.upstream.count = lambda: UpstreamError("no")
    count, estimated = await house.pipeline.count(call("x" * 400))
    assert estimated
    assert count.tokens > 90


async def test_embeddings_take_a_turn_and_are_recorded(house: House) -> None:
    wanted = EmbedCall(dialect="test", model="gemini-embedding-001", inputs=("a", "b"))
    exchange = Exchange(id="r", dialect="test", operation="embed", client="c")
    with house.pipeline.recorded(exchange):
        embedding = await house.pipeline.embed(wanted, exchange)
    assert len(embedding.vectors) == 2
    (entry,) = house.entries
    assert (entry.attempts, entry.usage.prompt_tokens, entry.mock) == (1, 5, False)
    assert replace(entry, id="") != entry


async def test_what_is_seen_keeps_to_the_clients_limit(house: House) -> None:
    """Room for thoughts was sent on top; Google's count, one token a character, decides."""

    def counted(words: str, tokens: int, **more: Any) -> Chunk:
        return text(words, usage={"promptTokenCount": 7, "candidatesTokenCount": tokens}, **more)

    house.script([counted("abc", 3), counted("defgh", 8), counted("ijk", 11, finish="STOP")])
    asked = call(thinking=Thinking(level="off", headroom_tokens=8192))
    asked.request["generationConfig"] = {"maxOutputTokens": 5}
    events = await house.ask(asked)
    assert house.upstream.sent[0].request["generationConfig"]["maxOutputTokens"] > 5
    assert words_of(events) == "abcde"
    assert isinstance(events[-1], Finish)
    assert events[-1].reason == "MAX_TOKENS"
    assert house.upstream.closed == 1
    assert house.entries[0].usage.candidates_tokens == 8


@pytest.mark.parametrize("stream", [True, False])
async def test_json_comes_without_a_fence_in_every_dialect(house: House, stream: bool) -> None:
    house.script([text("```json\n"), text('{"a": 1}\n'), text("```", finish="STOP")])
    asked = call(stream=stream)
    asked.request["generationConfig"] = {"responseMimeType": "application/json"}
    assert words_of(await house.ask(asked)) == '{"a": 1}'
    assert words_of(await house.ask(call(stream=stream))) == '```json\n{"a": 1}\n```'


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_wish_for_thoughts_is_not_sent_again_with_each_turn(
    house: House, stream: bool
) -> None:
    for turn in range(4):
        house.upstream.sent.clear()
        refused = ThinkingRejectedError("Thinking budget is not supported.")
        house.script([refused], OK) if turn == 0 else house.script(OK)
        exchange = Exchange(id="r", dialect="test", operation="generate", client="c")
        wanted = call(thinking=Thinking(level="low", budget_tokens=512), stream=stream)
        async for _events in house.pipeline.generate(wanted, exchange):
            pass
        sent = [out.request.get("generationConfig", {}) for out in house.upstream.sent]
        assert ["thinkingConfig" in config for config in sent] == [True, False][turn > 0 :]
        assert exchange.dropped == ("generationConfig.thinkingConfig",)
    house.upstream.sent.clear()
    await house.ask(call(thinking=Thinking(level="high", budget_tokens=9000)))
    assert "thinkingConfig" in house.upstream.sent[0].request["generationConfig"]
