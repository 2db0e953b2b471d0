"""The conversation rules: each broken one is refused, the correct shapes pass."""

from typing import Any

import pytest

from server.demo import turns
from server.demo.errors import GoogleError
from server.demo.messages import GENERATE
from server.demo.proto import read
from server.demo.signatures import BYPASS, GEMINI_API
from tests.google.table import CATALOGUE
from tests.support import call, model, result, user

Json = dict[str, Any]

MODELS = {entry.id: entry for entry in CATALOGUE}
OLD, THREE, NEW = "gemini-2.5-flash", "gemini-3-flash-preview", "gemini-3.5-flash"
PNG = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}


def judge(contents: list[Json], model_id: str = OLD) -> None:
    turns.check(read(GENERATE, {"contents": contents}), MODELS[model_id])


def refusal(contents: list[Json], model_id: str = OLD) -> str:
    with pytest.raises(GoogleError) as caught:
        judge(contents, model_id)
    assert caught.value.status == 400
    return str(caught.value)


def signed(name: str, model_id: str = THREE, **more: str) -> Json:
    return call(name, None, thoughtSignature=GEMINI_API.issue(model_id, name), **more)


@pytest.mark.parametrize(
    ("contents", "model_id"),
    [
        ([user("hi")], OLD),
        ([user("hi"), model("ho"), user("hi")], NEW),
        ([user("hi"), model("prefill")], OLD),
        ([user(PNG, "what is it?")], OLD),
        ([user("hi"), model({"text": "", "thoughtSignature": BYPASS[0]}), user("?")], THREE),
        ([user("hi"), model(call("a"), call("b")), user(result("b", {}), result("a", {}))], OLD),
        ([user("hi"), model(signed("a")), user(result("a", {"x": 1}), "and now?")], THREE),
        (
            [user("hi"), model(signed("a", NEW, id="1")), user(result("a", {}, id="1"))],
            NEW,
        ),
    ],
)
def test_correct_conversations_pass(contents: list[Json], model_id: str) -> None:
    judge(contents, model_id)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([], "contents is not specified"),
        ([{"role": "user", "parts": []}], "at least one parts field"),
        ([{"role": "user"}], "at least one parts field"),
        ([{"role": "system", "parts": [{"text": "x"}]}], "valid role: user, model"),
        ([{"role": "function", "parts": [{"text": "x"}]}], "valid role: user, model"),
        ([user("")], "empty text parameter"),
        ([user({})], "required oneof field 'data'"),
        ([user({"thought": True})], "required oneof field 'data'"),
        ([user("a"), user("b")], "alternate between user and model"),
        ([model("a"), user("b")], "begin with a user turn"),
        ([user({"inlineData": {"mimeType": "image/gif", "data": "aGk="}})], "image/gif"),
        ([user({"inlineData": {"mimeType": "image/png", "data": ""}})], "required field is empty"),
        ([user({"inlineData": {}})], "mimeType parameter"),
    ],
)
def test_roles_and_parts(contents: list[Json], words: str) -> None:
    assert words in refusal(contents)


def test_a_missing_role_is_the_users_and_an_answer_may_come_in_pieces() -> None:
    """Google's SDK keeps every chunk of a streamed answer as a content of its own."""
    judge([{"parts": [{"text": "hi"}]}])
    judge([user("hi"), model("Hel"), model("lo"), user("?")])


def test_an_empty_system_instruction_is_refused() -> None:
    body = {"contents": [user("hi")], "systemInstruction": {"parts": [{"text": ""}]}}
    with pytest.raises(GoogleError, match="empty text parameter"):
        turns.check(body, MODELS[OLD])


@pytest.mark.parametrize(
    "model_id", ["gemini-3.5-flash-lite", "gemini-3.6-flash", "gemini-3.8-flash", "gemini-4-argon"]
)
def test_from_35_flash_lite_on_the_last_turn_is_the_users(model_id: str) -> None:
    prefilled = [user("hi"), model("prefill")]
    judge(prefilled, NEW)
    assert "end with a user role" in refusal(prefilled, model_id)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([user("hi"), model(call("a"), call("b")), user(result("a", {}))], "number of function"),
        ([user("hi"), model(call("a")), user("no result")], "number of function response parts"),
        ([user("hi"), model(call("a"))], "number of function response parts"),
        ([user("hi"), model("text"), user(result("a", {}))], "immediately after a function call"),
        ([user(result("a", {}))], "immediately after a function call"),
        ([user("hi"), model(call("a")), user(result("b", {}))], "names match"),
        ([user(call("a"))], "immediately after a user turn"),
        ([user("hi"), model(result("a", {}))], "user role"),
        ([user("hi"), model(call("")), user(result("a", {}))], "Name cannot be empty"),
        ([user("hi"), model(call("a")), user(result("", {}))], "Name cannot be empty"),
        (
            [user("hi"), model(call("a")), user({"functionResponse": {"name": "a"}})],
            "response: required field",
        ),
    ],
)
def test_tool_turns_come_in_pairs(contents: list[Json], words: str) -> None:
    assert words in refusal(contents)


def test_a_result_must_be_an_object() -> None:
    wrong: Json = {"functionResponse": {"name": "a", "response": "12 C"}}
    assert "protobuf.Struct" in refusal([user("hi"), model(call("a")), user(wrong)])


@pytest.mark.parametrize(
    ("result_", "words"),
    [
        (result("a", {}), "with id ``"),
        (result("a", {}, id="2"), "with id `2`"),
    ],
)
def test_from_35_on_results_carry_the_id_of_their_call(result_: Json, words: str) -> None:
    contents = [user("hi"), model(signed("a", NEW, id="1")), user(result_)]
    assert words in refusal(contents, NEW)


def test_from_35_on_calls_carry_ids() -> None:
    contents = [user("hi"), model(signed("a", NEW)), user(result("a", {}))]
    assert "id of its own" in refusal(contents, NEW)


def test_the_first_call_of_every_step_of_the_turn_is_signed() -> None:
    unsigned = [user("hi"), model(call("a")), user(result("a", {}))]
    assert "missing a thought_signature" in refusal(unsigned, THREE)
    assert "`default_api:a` , position 2" in refusal(unsigned, THREE)
    second = [user("hi"), model(signed("a")), user(result("a", {})), model(call("b"))]
    assert "position 4" in refusal([*second, user(result("b", {}))], THREE)
    parallel = [user("hi"), model(signed("a"), call("b"))]
    judge([*parallel, user(result("a", {}), result("b", {}))], THREE)


def test_a_reminder_beside_the_results_does_not_start_a_new_turn() -> None:
    """Claude Code sends one with nearly every result."""
    contents = [user("hi"), model(call("a")), user(result("a", {}), "reminder")]
    assert "missing a thought_signature" in refusal(contents, THREE)


def test_older_turns_are_not_validated() -> None:
    old = [user("hi"), model(call("a")), user(result("a", {})), model("done")]
    judge([*old, user("next")], THREE)


@pytest.mark.parametrize("bypass", BYPASS)
def test_a_bypass_value_counts_as_a_signature(bypass: str) -> None:
    judge([user("hi"), model(call("a", thoughtSignature=bypass)), user(result("a", {}))], THREE)


@pytest.mark.parametrize("model_id", [OLD, THREE, "gemini-4-hydrogen"])
def test_a_foreign_signature_is_corrupt(model_id: str) -> None:
    foreign = call("a", id="1", thoughtSignature=GEMINI_API.issue("gemini-3.1-pro-preview", "a"))
    contents = [user("hi"), model(foreign), user(result("a", {}, id="1"))]
    assert refusal(contents, model_id) == "Corrupted thought signature."


@pytest.mark.parametrize("mime", ["image/gif", "image/bmp", "image/svg+xml", "image/tiff"])
def test_only_five_kinds_of_pictures_are_taken(mime: str) -> None:
    inline = {"inlineData": {"mimeType": mime, "data": "aGk="}}
    file = {"fileData": {"mimeType": mime, "fileUri": "https://example.com/a"}}
    for part in (inline, file):
        assert mime in refusal([user(part)])
        answer = result("a", {})
        answer["functionResponse"]["parts"] = [part]
        assert mime in refusal([user("hi"), model(signed("a")), user(answer)], THREE)
    for known in ("png", "jpeg", "webp", "heic", "heif"):
        judge([user({"inlineData": {"mimeType": f"image/{known}", "data": "aGk="}})])


def test_media_in_results_is_checked() -> None:
    answer = result("a", {})
    answer["functionResponse"]["parts"] = [
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}}
    ]
    assert "audio/wav" in refusal([user("hi"), model(signed("a")), user(answer)], THREE)
