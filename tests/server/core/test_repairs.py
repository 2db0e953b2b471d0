"""What Google took in plainer words only is remembered, by upstream, model and bytes."""

import json
from pathlib import Path

from server.core.repairs import KEPT_S, Repairs
from server.gemini.schema import plainer
from server.gemini.signatures import BYPASS
from server.gemini.types import GenerateRequest, Json
from server.limits import REPAIRS

LANE = ("gemini-api", "a-model")


def request(*schemas: Json) -> GenerateRequest:
    declared = [{"name": f"t{i}", "parametersJsonSchema": s} for i, s in enumerate(schemas)]
    return {"tools": [{"functionDeclarations": declared}]}


def schema(pattern: str) -> Json:
    return {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}


def sent(repairs: Repairs, *schemas: Json, lane: tuple[str, str] = LANE) -> list[bool]:
    """Which of the schemas are made plainer before they are sent."""
    found = repairs.apply(lane, request(*schemas))
    return [index in found.changed for index in range(len(schemas))]


async def test_a_named_schema_is_known_again_beside_any_others(tmp_path: Path) -> None:
    repairs = Repairs(tmp_path)
    assert sent(repairs, schema("a"), schema("b")) == [False, False]
    await repairs.learn(LANE, request(schema("a"), schema("b")), frozenset({1}))
    assert sent(repairs, schema("a"), schema("b")) == [False, True]
    assert sent(repairs, schema("b"), schema("c")) == [True, False]
    assert sent(repairs, schema("b"), lane=("vertex", "a-model")) == [False]
    assert sent(repairs, schema("b"), lane=("gemini-api", "another")) == [False]


async def test_of_a_refusal_that_named_nothing_the_whole_list_is_known(tmp_path: Path) -> None:
    repairs = Repairs(tmp_path)
    await repairs.learn(LANE, request(schema("a"), schema("b")), None)
    assert sent(repairs, schema("a"), schema("b")) == [True, True]
    assert sent(repairs, schema("a")) == [False]


async def test_two_repairs_of_one_request_are_done_again_in_their_order(tmp_path: Path) -> None:
    repairs = Repairs(tmp_path)
    whole = request(schema("a"), schema("b"))
    aimed = plainer(whole, {0})
    await repairs.learn(LANE, whole, aimed.changed)
    await repairs.learn(LANE, aimed.request, None)
    found = repairs.apply(LANE, whole)
    assert found.request == plainer(whole).request
    assert found.changed == {0, 1}


async def test_a_restart_remembers_and_a_month_forgets(tmp_path: Path) -> None:
    await Repairs(tmp_path).learn(LANE, request(schema("a")), frozenset({0}))
    assert sent(Repairs(tmp_path), schema("a")) == [True]
    assert (tmp_path / "repairs.json").stat().st_mode & 0o077 == 0
    later = Repairs(tmp_path, now=lambda: 4e9 + KEPT_S)
    assert sent(later, schema("a")) == [False]
    await Repairs(tmp_path).wipe()
    assert sent(Repairs(tmp_path), schema("a")) == [False]


async def test_the_oldest_repairs_make_room(tmp_path: Path) -> None:
    now = iter(range(1, 10 * REPAIRS))
    repairs = Repairs(tmp_path, now=lambda: float(next(now)))
    many = [schema(str(number)) for number in range(REPAIRS + 5)]
    await repairs.learn(LANE, request(*many), frozenset(range(len(many))))
    assert sent(repairs, many[0], many[-1]) == [False, True]
    again = Repairs(tmp_path, now=lambda: float(next(now)))
    assert sent(again, many[4], many[5]) == [False, True]


async def test_a_file_that_cannot_be_used_costs_the_memory_not_the_request(tmp_path: Path) -> None:
    (tmp_path / "repairs.json").write_text("[nonsense", "utf-8")
    repairs = Repairs(tmp_path)
    assert sent(repairs, schema("a")) == [False]
    (tmp_path / "repairs.json").unlink()
    (tmp_path / "repairs.json").mkdir()
    await Repairs(tmp_path).learn(LANE, request(schema("a")), frozenset({0}))
    await repairs.learn(LANE, request(schema("a")), frozenset({0}))
    assert sent(repairs, schema("a")) == [True]


def signed(*signatures: str) -> GenerateRequest:
    called = {"functionCall": {"name": "look", "args": {}}}
    parts = [{**called, "thoughtSignature": signature} for signature in signatures]
    return {"contents": [{"role": "model", "parts": [part]} for part in parts]}


async def test_refused_signatures_are_known_one_by_one_and_after_a_restart(tmp_path: Path) -> None:
    repairs = Repairs(tmp_path)
    assert repairs.bypass(LANE, signed("a", "b")) == signed("a", "b")
    await repairs.learn_signatures(LANE, ["a", "b"])
    for memory in (repairs, Repairs(tmp_path)):
        assert memory.bypass(LANE, signed("b", "c")) == signed(BYPASS, "c")
        for lane in (("vertex", "a-model"), ("gemini-api", "another")):
            assert memory.bypass(lane, signed("b", "c")) == signed("b", "c")
    marks = json.loads((tmp_path / "repairs.json").read_bytes())
    assert [len(mark) for mark in marks] == [32, 32]


async def test_a_refused_wish_for_thoughts_is_known_by_its_bytes(tmp_path: Path) -> None:
    def wishing(budget: int) -> GenerateRequest:
        return {"generationConfig": {"thinkingConfig": {"thinkingBudget": budget}}}

    repairs = Repairs(tmp_path)
    assert not repairs.refuses_thinking(LANE, wishing(1))
    await repairs.learn_thinking(LANE, {"thinkingBudget": 1})
    for memory in (repairs, Repairs(tmp_path)):
        assert memory.refuses_thinking(LANE, wishing(1))
        assert not memory.refuses_thinking(LANE, wishing(2))
        assert not memory.refuses_thinking(LANE, {"generationConfig": {}})
        assert not memory.refuses_thinking(("gemini-api", "another"), wishing(1))
