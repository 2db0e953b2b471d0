"""Where the doors differ: roles, alternation, signatures, tools beside functions."""

from typing import Any

import pytest

from server.demo.errors import GoogleError
from tests.google import doors
from tests.google.catalogue import V3, FakeModel
from tests.google.messages import Door
from tests.support import call, model, result, user

Json = dict[str, Any]
MODEL = FakeModel(id="gemini-3-flash-preview", family=V3)
CLOUD: tuple[Door, ...] = ("vertex", "code-assist")


def judge(contents: list[Json], door: Door) -> None:
    doors.check({"contents": contents}, MODEL, door)


def refusal(contents: list[Json], door: Door) -> str:
    with pytest.raises(GoogleError) as caught:
        judge(contents, door)
    assert caught.value.status == 400
    return str(caught.value)


def test_the_cloud_wants_every_role_spelled_out() -> None:
    contents: list[Json] = [{"parts": [{"text": "hi"}]}]
    judge(contents, "gemini-api")
    for door in CLOUD:
        assert "valid role" in refusal(contents, door)
        with pytest.raises(GoogleError, match="valid role"):
            doors.check_contents(contents, door)
    doors.check_contents(contents, "gemini-api")


def test_only_code_assist_minds_a_streamed_answer_in_pieces() -> None:
    contents = [user("hi"), model("Hel"), model("lo"), user("?")]
    judge(contents, "gemini-api")
    judge(contents, "vertex")
    assert "alternate" in refusal(contents, "code-assist")


@pytest.mark.parametrize(
    ("door", "issued_by", "words"),
    [
        ("gemini-api", "vertex", "Corrupted thought signature."),
        ("vertex", "gemini-api", "Invalid thought signature."),
        ("code-assist", "gemini-api", "Corrupted thought signature."),
    ],
)
def test_each_backend_refuses_the_signatures_of_the_other(
    door: Door, issued_by: Door, words: str
) -> None:
    def turn(signature: str) -> list[Json]:
        asked = call("a", thoughtSignature=signature)
        return [user("hi"), model(asked), user(result("a", {}))]

    assert refusal(turn(doors.SIGNERS[issued_by].issue(MODEL.id, "a")), door) == words
    judge(turn(doors.SIGNERS[door].issue(MODEL.id, "a")), door)
