"""Thought signatures: whose are put back, and where the bypass value has to do."""

import copy
from dataclasses import dataclass, field

import pytest

from server.gemini.signatures import (
    BYPASS,
    StoredSignature,
    attach,
    bypassed,
    own_signatures,
    text_digest,
)
from server.gemini.types import CarriedSignature, Content, GenerateRequest, Json

MODEL = "gemini-3.5-flash"
OTHER = "gemini-3-flash-preview"
OLD = "gemini-2.5-pro"
SIGNATURE = "c2lnbmF0dXJl"


@dataclass
class Memory:
    """A ``SignatureLookup`` of two dicts."""

    calls: dict[str, StoredSignature] = field(default_factory=dict)
    texts: dict[str, StoredSignature] = field(default_factory=dict)

    def call(self, tool_call_id: str) -> StoredSignature | None:
        return self.calls.get(tool_call_id)

    def text(self, digest: str) -> StoredSignature | None:
        return self.texts.get(digest)


def said(text: str) -> Content:
    return {"role": "user", "parts": [{"text": text}]}


def step(*ids: str, text: str = "") -> list[Content]:
    """A model content that calls, and the user content that answers."""
    calls: list[Json] = [{"functionCall": {"id": i, "name": "look", "args": {}}} for i in ids]
    results: list[Json] = [
        {"functionResponse": {"id": i, "name": "look", "response": {"output": "ok"}}} for i in ids
    ]
    results += [{"text": text}] if text else []
    return [{"role": "model", "parts": calls}, {"role": "user", "parts": results}]


def signatures(contents: list[Content]) -> list[str | None]:
    """The signature of every function call, in order."""
    parts = [part for content in contents for part in content["parts"]]
    return [part.get("thoughtSignature") for part in parts if "functionCall" in part]


def ids(contents: list[Content], kind: str) -> list[str | None]:
    parts = [part for content in contents for part in content["parts"]]
    return [part[kind].get("id") for part in parts if kind in part]


def stored(model: str = MODEL, signature: str | None = SIGNATURE) -> StoredSignature:
    return StoredSignature(model, signature, None)


@pytest.mark.parametrize(
    ("memory", "carried", "expected"),
    [
        (stored(), None, SIGNATURE),
        (stored(), CarriedSignature("b3RoZXIh", MODEL), SIGNATURE),
        (stored(OTHER), None, BYPASS),
        (stored(OTHER), CarriedSignature(SIGNATURE, None), BYPASS),
        (None, CarriedSignature(SIGNATURE, None), SIGNATURE),
        (None, CarriedSignature(SIGNATURE, MODEL), SIGNATURE),
        (None, CarriedSignature(BYPASS, None), BYPASS),
        (None, CarriedSignature(SIGNATURE, OTHER), BYPASS),
        (None, CarriedSignature("not base64!", None), BYPASS),
        (None, CarriedSignature("garbage", None), BYPASS),
        (None, CarriedSignature("====", None), BYPASS),
        (None, CarriedSignature("", None), BYPASS),
        (None, CarriedSignature("A" * (2**20 + 4), None), BYPASS),
        (None, None, BYPASS),
    ],
)
def test_the_store_counts_first_then_what_was_carried_then_the_bypass(
    memory: StoredSignature | None, carried: CarriedSignature | None, expected: str
) -> None:
    lookup = Memory({"1": memory} if memory else {})
    found = attach([said("a"), *step("1")], MODEL, {"1": carried} if carried else {}, lookup)
    assert signatures(found) == [expected]


def test_siblings_are_unsigned_unless_their_signature_is_known() -> None:
    contents = [said("a"), *step("1", "2", "3")]
    assert signatures(attach(contents, MODEL, {}, Memory())) == [BYPASS, None, None]
    lookup = Memory({"1": stored(), "2": stored(signature=None), "3": stored()})
    assert signatures(attach(contents, MODEL, {}, lookup)) == [SIGNATURE, None, SIGNATURE]


def test_every_step_of_the_current_turn_is_signed_and_older_turns_are_not() -> None:
    contents = [said("a"), *step("1"), *step("2"), said("b"), *step("3"), *step("4", "5")]
    found = attach(contents, MODEL, {}, Memory({"1": stored()}))
    assert signatures(found) == [SIGNATURE, None, BYPASS, BYPASS, None]


def test_a_reminder_beside_results_does_not_begin_a_turn() -> None:
    """Claude Code puts such texts there; signing from the earlier start is right either way."""
    contents = [said("a"), *step("1", text="<system-reminder>"), *step("2")]
    assert signatures(attach(contents, MODEL, {}, Memory())) == [BYPASS, BYPASS]


def test_models_before_generation_three_get_only_their_own_signatures() -> None:
    contents = [said("a"), *step("1"), *step("2")]
    lookup = Memory({"1": stored(OLD), "2": stored(MODEL)})
    assert signatures(attach(contents, OLD, {}, lookup)) == [SIGNATURE, None]


@pytest.mark.parametrize(
    ("model_id", "memory", "expected"),
    [
        (MODEL, None, "1"),
        (MODEL, StoredSignature(MODEL, None, "up-1"), "up-1"),
        (MODEL, StoredSignature(OTHER, None, "up-1"), "1"),
        (OLD, None, None),
        (OLD, StoredSignature(OLD, None, "up-1"), "up-1"),
        (OLD, StoredSignature(MODEL, None, "up-1"), None),
    ],
)
def test_calls_and_results_carry_the_id_the_model_knows(
    model_id: str, memory: StoredSignature | None, expected: str | None
) -> None:
    lookup = Memory({"1": memory} if memory else {})
    found = attach([said("a"), *step("1")], model_id, {}, lookup)
    assert ids(found, "functionCall") == ids(found, "functionResponse") == [expected]


def test_an_answer_gets_its_text_signature_back_on_its_last_text() -> None:
    answer: Content = {"role": "model", "parts": [{"text": "Hello "}, {"text": "world\n"}]}
    lookup = Memory(texts={text_digest("Hello world"): stored()})
    found = attach([said("a"), answer, said("b")], MODEL, {}, lookup)
    assert found[1]["parts"] == [
        {"text": "Hello "},
        {"text": "world\n", "thoughtSignature": SIGNATURE},
    ]
    assert attach([said("a"), answer, said("b")], OTHER, {}, lookup)[1] == answer


def test_nothing_is_changed_in_place() -> None:
    contents = [said("a"), *step("1", "2")]
    before = copy.deepcopy(contents)
    request: GenerateRequest = {"contents": attach(contents, MODEL, {}, Memory())}
    sent = copy.deepcopy(request)
    bypassed(request)
    assert contents == before
    assert request == sent


def test_the_retry_sends_the_bypass_in_place_of_every_signature() -> None:
    contents = attach([said("a"), *step("1", "2")], MODEL, {}, Memory({"1": stored()}))
    contents.insert(1, {"role": "model", "parts": [{"text": "t", "thoughtSignature": SIGNATURE}]})
    again = bypassed({"contents": contents, "labels": {"k": "v"}})
    assert again["labels"] == {"k": "v"}
    assert again["contents"][1]["parts"] == [{"text": "t", "thoughtSignature": BYPASS}]
    assert signatures(again["contents"]) == [BYPASS, None]


def test_of_known_signatures_only_these_are_bypassed() -> None:
    fresh = "ZnJlc2ggYW5kIHdob2xl"
    known = Memory({"1": stored(), "3": stored(signature=fresh)})
    contents = attach([said("a"), *step("1"), *step("3"), *step("5")], MODEL, {}, known)
    request: GenerateRequest = {"contents": contents}
    assert own_signatures(request) == [SIGNATURE, fresh]
    again = bypassed(request, {SIGNATURE})
    assert signatures(again["contents"]) == [BYPASS, fresh, BYPASS]
    assert own_signatures(again) == [fresh]
    assert bypassed(request, set()) is request
