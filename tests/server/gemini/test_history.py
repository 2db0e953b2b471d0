"""Repairing conversations: Google's rules hold afterwards, and nothing said is lost."""

import copy
import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.gemini.history import CONTINUE, NO_RESULT, OPENING, repair
from server.gemini.types import Content, Json


def user(*parts: Json | str) -> Content:
    return {"role": "user", "parts": [text(p) if isinstance(p, str) else p for p in parts]}


def model(*parts: Json | str) -> Content:
    return {"role": "model", "parts": [text(p) if isinstance(p, str) else p for p in parts]}


def text(value: str) -> Json:
    return {"text": value}


def call(call_id: str, name: str = "look", **args: Any) -> Json:
    return {"functionCall": {"id": call_id, "name": name, "args": args}}


def result(call_id: str, output: str = "ok", name: str = "") -> Json:
    return {"functionResponse": {"id": call_id, "name": name, "response": {"output": output}}}


def answered(call_id: str, output: str = "ok", name: str = "look") -> Json:
    return result(call_id, output, name)


def missing(call_id: str, name: str = "look") -> Json:
    response = {"error": NO_RESULT}
    return {"functionResponse": {"id": call_id, "name": name, "response": response}}


CASES: dict[str, tuple[list[Content], list[Content]]] = {
    "nothing": ([], []),
    "only empty parts": ([user("", {}), model("")], []),
    "neighbours merge": (
        [user("a"), user("", "b"), model("c"), user("d")],
        [user("a", "b"), model("c"), user("d")],
    ),
    "the user begins": ([model("a"), user("b")], [user(OPENING), model("a"), user("b")]),
    "the user ends": ([user("a"), model("b")], [user("a"), model("b"), user(CONTINUE)]),
    "a plain tool round": (
        [user("a"), model("b", call("1")), user(result("1"))],
        [user("a"), model("b", call("1")), user(answered("1"))],
    ),
    "results in reverse order, text between": (
        [
            user("a"),
            model(call("1"), call("2", "read"), call("3")),
            user("note"),
            user(result("3", "c")),
            user(result("2", "b")),
            user(result("1", "a")),
        ],
        [
            user("a"),
            model(call("1"), call("2", "read"), call("3")),
            user(answered("1", "a"), answered("2", "b", "read"), answered("3", "c"), "note"),
        ],
    ),
    "a missing result": (
        [user("a"), model(call("1"), call("2")), user(result("1"))],
        [user("a"), model(call("1"), call("2")), user(answered("1"), missing("2"))],
    ),
    "no result at all, then a question": (
        [user("a"), model(call("1")), user("never mind")],
        [user("a"), model(call("1")), user(missing("1"), "never mind")],
    ),
    "calls at the very end": (
        [user("a"), model("b", call("1"))],
        [user("a"), model("b", call("1")), user(missing("1"))],
    ),
    "the last of two results counts": (
        [user("a"), model(call("1")), user(result("1", "old"), result("1", "new"))],
        [user("a"), model(call("1")), user(answered("1", "new"))],
    ),
    "a late result": (
        [user("a"), model(call("1")), user("wait"), model("hm"), user(result("1", "late"))],
        [
            user("a"),
            model(call("1")),
            user(answered("1", "late"), "wait"),
            model("hm"),
            user(CONTINUE),
        ],
    ),
    "a late result between two model turns": (
        [
            user("a"),
            model(call("1")),
            user("x"),
            model("b"),
            user(result("1")),
            model(call("2")),
            user(result("2")),
        ],
        [
            user("a"),
            model(call("1")),
            user(answered("1"), "x"),
            model("b", call("2")),
            user(answered("2")),
        ],
    ),
    "an unknown result": (
        [user("a"), model(call("1")), user(result("9", "x"), result("1"))],
        [user("a"), model(call("1")), user(answered("1"), "Tool result (unknown call 9):\nx")],
    ),
    "a result before its call": (
        [user(result("1", "x")), model(call("1"))],
        [user("Tool result (unknown call 1):\nx"), model(call("1")), user(missing("1"))],
    ),
    "an unknown id with the name of the one open call": (
        [
            user("a"),
            model(call("1"), call("2", "read")),
            user(result("9", "x", "read"), result("1")),
        ],
        [
            user("a"),
            model(call("1"), call("2", "read")),
            user(answered("1"), answered("2", "x", "read")),
        ],
    ),
    "an unknown id with a name that fits two open calls": (
        [user("a"), model(call("1"), call("2")), user(result("9", "x", "look"))],
        [
            user("a"),
            model(call("1"), call("2")),
            user(missing("1"), missing("2"), "Tool result (unknown call 9):\nx"),
        ],
    ),
    "text after a call moves before it": (
        [user("a"), model(call("1"), "b", call("2"), "c"), user(result("1"), result("2"))],
        [user("a"), model("b", "c", call("1"), call("2")), user(answered("1"), answered("2"))],
    ),
    "two model messages with calls are one parallel step": (
        [user("a"), model(call("1")), model(call("2")), user(result("1")), user(result("2"))],
        [user("a"), model(call("1"), call("2")), user(answered("1"), answered("2"))],
    ),
    "an id used again in a later turn": (
        [
            user("a"),
            model(call("1")),
            user(result("1", "x")),
            model(call("1")),
            user(result("1", "y")),
        ],
        [
            user("a"),
            model(call("1")),
            user(answered("1", "x")),
            model(call("1")),
            user(answered("1", "y")),
        ],
    ),
    "an id used twice in one turn": (
        [user("a"), model(call("1"), call("1")), user(result("1", "x"), result("1", "y"))],
        [user("a"), model(call("1"), call("1_2")), user(answered("1", "x"), answered("1_2", "y"))],
    ),
    "a wrong name on a result": (
        [user("a"), model(call("1")), user(result("1", "x", "unknown"))],
        [user("a"), model(call("1")), user(answered("1", "x"))],
    ),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
def test_histories_agents_really_send(case: str) -> None:
    given_contents, expected = CASES[case]
    assert repair(given_contents) == expected


def test_calls_without_ids_get_some() -> None:
    """Gemini 3.5 and later want every call to have an id of its own."""
    anonymous: Json = {"functionCall": {"name": "look", "args": {}}}
    calls = repair([user("a"), model(anonymous, anonymous)])[1]["parts"]
    assert len({part["functionCall"]["id"] for part in calls}) == 2


def test_media_of_an_unknown_result_stay() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    orphan = result("9", "x")
    orphan["functionResponse"]["parts"] = [image]
    assert repair([user(orphan)]) == [user("Tool result (unknown call 9):\nx", image)]


def test_an_error_of_an_unknown_result_is_told() -> None:
    orphan = {"functionResponse": {"id": "9", "name": "", "response": {"error": "no such file"}}}
    assert repair([user(orphan)]) == [user("Tool result (unknown call 9):\nno such file")]


IDS = st.sampled_from(["1", "2", "3", ""])
NAMES = st.sampled_from(["look", "read", ""])
USER_PARTS = st.one_of(
    st.sampled_from(["", "said", " "]).map(text),
    st.builds(result, IDS, st.text("xyz", min_size=1, max_size=4), NAMES),
)
MODEL_PARTS = st.one_of(
    st.sampled_from(["", "told"]).map(text),
    st.builds(call, IDS, st.sampled_from(["look", "read"])),
)
CONTENTS: st.SearchStrategy[list[Content]] = st.lists(
    st.one_of(
        st.lists(USER_PARTS, max_size=4).map(lambda parts: user(*parts)),
        st.lists(MODEL_PARTS, max_size=4).map(lambda parts: model(*parts)),
    ),
    max_size=8,
)


def parts_of(contents: list[Content], kind: str) -> list[Json]:
    return [part[kind] for content in contents for part in content["parts"] if kind in part]


def assert_google_accepts(contents: list[Content]) -> None:
    """The rules of protocol note ``code-assist.md`` 6.1 and 6.4."""
    if not contents:
        return
    roles = [content["role"] for content in contents]
    assert roles[0] == roles[-1] == "user"
    assert all(before != after for before, after in pairwise(roles))
    assert all(part and part != {"text": ""} for c in contents for part in c["parts"])
    assert all(content["parts"] for content in contents)
    assert not parts_of(contents[:1], "functionResponse")
    for before, after in pairwise(contents):
        calls, results = parts_of([before], "functionCall"), parts_of([after], "functionResponse")
        assert [(c["id"], c["name"]) for c in calls] == [(r["id"], r["name"]) for r in results]
        assert len({c["id"] for c in calls}) == len(calls)
        assert all("functionCall" in part for part in before["parts"][-len(calls) :] if calls)
        assert all("functionResponse" in part for part in after["parts"][: len(calls)])


@given(CONTENTS)
@settings(max_examples=400, deadline=None)
def test_any_history_becomes_one_that_google_accepts(contents: list[Content]) -> None:
    before = copy.deepcopy(contents)
    repaired = repair(contents)
    assert contents == before
    assert_google_accepts(repaired)
    assert repair(repaired) == repaired
    said = json.dumps(repaired)
    assert len(parts_of(repaired, "functionCall")) == len(parts_of(contents, "functionCall"))
    assert said.count("told") == json.dumps(contents).count("told")
    assert said.count("said") == json.dumps(contents).count("said")


@given(CONTENTS)
@settings(max_examples=200, deadline=None)
def test_no_result_is_lost_unless_a_later_one_replaces_it(contents: list[Content]) -> None:
    for index, response in enumerate(parts_of(contents, "functionResponse")):
        response["response"] = {"output": f"<{index}>"}
    kept = json.dumps(repair(contents))
    results = parts_of(contents, "functionResponse")
    last = {response["id"]: index for index, response in enumerate(results)}
    assert all(f"<{index}>" in kept for index in last.values())


def many(calls: int) -> dict[str, list[Content]]:
    """Histories that took seconds for a tenth of the calls when the work was quadratic."""
    ids = [f"c{n}" for n in range(calls)]
    turns = [content for n in ids for content in (model(call(n)), user(answered(f"other-{n}")))]
    return {
        "unknown ids, turn by turn": turns,
        "unknown ids, at once": [
            model(*(call(n, name=n) for n in ids)),
            user(*(answered(f"other-{n}", name=n) for n in ids)),
        ],
        "unknown ids, one name": [
            model(*map(call, ids)),
            user(*(answered(f"other-{n}") for n in ids)),
        ],
        "results without calls": [model("a"), user(*map(result, ids))],
        "one id": [model(*(call("same") for _ in ids)), user(*(result("same") for _ in ids))],
        "one id, and its numbers": [
            model(*(call("x") for _ in ids), *(call(f"x_{n}") for n in range(calls))),
            user(*(result("x") for _ in ids)),
        ],
        "one id, turn by turn": [
            content for _ in ids for content in (model(call("same")), user(result("same")))
        ],
    }


LARGE = many(10_000)


@pytest.mark.parametrize("case", LARGE)
def test_the_work_grows_with_the_number_of_calls(case: str) -> None:
    began = time.process_time()
    repaired = repair(LARGE[case])
    assert time.process_time() - began < 4
    assert sum(len(content["parts"]) for content in repaired) >= 10_000


def test_twenty_calls_with_unknown_results_are_told_apart_by_name() -> None:
    repaired = repair(many(20)["unknown ids, at once"])
    results = [part["functionResponse"] for part in repaired[-1]["parts"]]
    assert [r["id"] for r in results] == [f"c{n}" for n in range(20)]
    assert all(r["response"] == {"output": "ok"} for r in results)
    told = repair(many(20)["unknown ids, one name"])[-1]["parts"]
    assert [part.get("functionResponse", {}).get("response") for part in told[:20]] == [
        {"error": NO_RESULT}
    ] * 20
    assert len(told) == 40
