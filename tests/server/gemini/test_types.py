"""The vocabulary: usage that adds up, ids that never repeat."""

from server.gemini.types import ID_LETTERS, Call, Usage, new_id


def test_thoughts_are_output() -> None:
    usage = Usage(prompt_tokens=10, cached_tokens=4, candidates_tokens=5, thoughts_tokens=7)
    assert usage.output_tokens == 12
    assert usage.total_tokens == 22


def test_usages_add_up_and_one_estimate_makes_the_sum_one() -> None:
    total = sum([Usage(1, 2, 3, 4), Usage(10, 20, 30, 40)], Usage())
    assert total == Usage(11, 22, 33, 44)
    assert (total + Usage(estimated=True)).estimated


def test_ids_are_short_opaque_and_unique() -> None:
    ids = {new_id("call_") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(i) == 29 and set(i.removeprefix("call_")) <= set(ID_LETTERS) for i in ids)


def test_calls_share_nothing() -> None:
    one, other = (Call(dialect="d", model="m", request={}) for _ in range(2))
    one.carried["x"] = one.tool_names.send("x")  # type: ignore[assignment]
    one.downloads.append(None)  # type: ignore[arg-type]
    assert other.carried == {}
    assert other.downloads == []
