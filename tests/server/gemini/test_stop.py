"""Stop sequences found by us, wherever the text is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gemini.events import (
    Event,
    Finish,
    FunctionCall,
    TextDelta,
    ThoughtDelta,
    UsageSeen,
)
from server.gemini.stop import StopMatcher
from server.gemini.types import Usage

END = Finish("STOP", None, "gemini-x")


def run(stop: list[str], *events: Event) -> tuple[list[Event], StopMatcher]:
    """Feed the events one by one, as a stream would."""
    matcher = StopMatcher(stop)
    passed = [event for given_event in events for event in matcher.feed([given_event])]
    return passed, matcher


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("stop", "text", "kept", "hit"),
    [
        ([], "all of it", "all of it", None),
        (["x"], "no match", "no match", None),
        (["\nObservation:"], "act\nObservation: seen", "act", "\nObservation:"),
        (["a"], "a", "", "a"),
        (["bc", "abcd"], "xabcd", "xa", "bc"),
        (["c", "abc"], "xabc", "x", "abc"),
        (["END", "STOP"], "one STOP two END", "one ", "STOP"),
        (["", "z"], "xyz", "xy", "z"),
        (["aab"], "aaaab", "aa", "aab"),
    ],
)
def test_the_text_ends_before_the_sequence(
    stop: list[str], text: str, kept: str, hit: str | None
) -> None:
    passed, matcher = run(stop, TextDelta(text), END)
    assert text_of(passed) == kept
    assert matcher.hit == hit
    assert matcher.done is (hit is not None)
    expected = Finish("STOP_SEQUENCE", hit, "gemini-x") if hit else END
    assert passed[-1] == expected


@given(
    st.text("ab\n", max_size=30),
    st.lists(st.text("ab\n", max_size=4), max_size=3),
    st.lists(st.integers(0, 30), max_size=6),
)
def test_any_split_of_the_text_gives_the_same_result(
    text: str, stop: list[str], cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [TextDelta(text[a:b]) for a, b in pairwise(edges)]
    whole, matcher = run(stop, TextDelta(text), END)
    split, other = run(stop, *pieces, END)
    assert (text_of(split), other.hit, split[-1]) == (text_of(whole), matcher.hit, whole[-1])
    assert all(event.text for event in split if isinstance(event, TextDelta))


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    matcher = StopMatcher(["\nEND"])
    assert matcher.feed([TextDelta("line")]) == [TextDelta("line")]
    assert matcher.feed([TextDelta("\nE")]) == []
    assert matcher.feed([TextDelta("LSE")]) == [TextDelta("\nELSE")]


def test_held_text_comes_out_before_a_call_but_usage_overtakes_it() -> None:
    usage, call = UsageSeen(Usage(1)), FunctionCall("call_1", "look", {})
    passed, _ = run(["stop"], TextDelta("so st"), usage, call, TextDelta("op"), END)
    assert passed == [
        TextDelta("so "),
        usage,
        TextDelta("st"),
        call,
        TextDelta("op"),
        END,
    ]


def test_after_a_hit_only_usage_and_the_end_come_through() -> None:
    usage = UsageSeen(Usage(1))
    events: list[Event] = [
        ThoughtDelta("hm"),
        FunctionCall("call_1", "look", {}),
        TextDelta("more"),
    ]
    passed, _ = run(["."], TextDelta("Done. And"), *events, usage, END)
    assert passed == [TextDelta("Done"), usage, Finish("STOP_SEQUENCE", ".", "gemini-x")]


def test_thoughts_are_not_searched() -> None:
    passed, matcher = run(["stop"], ThoughtDelta("stop"), TextDelta("go"), END)
    assert passed == [ThoughtDelta("stop"), TextDelta("go"), END]
    assert matcher.hit is None
