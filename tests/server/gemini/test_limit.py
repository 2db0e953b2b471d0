"""The client's own limit holds for what is seen, by Google's count."""

from hypothesis import given
from hypothesis import strategies as st

from server.gemini.events import Event, Finish, FunctionCall, TextDelta, ThoughtDelta, UsageSeen
from server.gemini.limit import LimitCutter
from server.gemini.types import Usage

CALL = FunctionCall("c", "look", {"city": "Rome"})
STOP = Finish("STOP")
CUT = Finish("MAX_TOKENS")


def count(tokens: int) -> UsageSeen:
    return UsageSeen(Usage(7, 0, tokens, 99))


def passed(limit: int, *chunks: list[Event]) -> list[Event]:
    """What is passed on of an answer, chunk by chunk, until no more is wanted."""
    cutter = LimitCutter(limit)
    events: list[Event] = []
    for chunk in chunks:
        events += cutter.feed(chunk)
        if cutter.done:
            break
    return events + cutter.feed([STOP])


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_below_the_limit_nothing_changes() -> None:
    chunks: list[list[Event]] = [[count(2), TextDelta("ab")], [count(4), TextDelta("cd"), CALL]]
    assert passed(4, *chunks) == [*chunks[0], *chunks[1], STOP]


def test_text_is_cut_where_the_count_passes_it() -> None:
    """Ten characters for the tokens 3 to 7, of which two still fit."""
    events = passed(4, [count(2), TextDelta("abcd")], [count(7), TextDelta("0123456789")])
    assert text_of(events) == "abcd0123"
    assert events[-1] == CUT


def test_what_came_without_a_count_is_in_the_next_one() -> None:
    chunks: list[list[Event]] = [[TextDelta("aaaaa")], [count(10), TextDelta("bbbbb")]]
    assert text_of(passed(6, *chunks)) == "aaaaab"
    assert text_of(passed(2, *chunks)) == "aaaaa"  # that had gone


def test_without_a_count_nothing_is_cut() -> None:
    chunks: list[list[Event]] = [[TextDelta("a" * 100)], [TextDelta("b" * 100)]]
    assert passed(1, *chunks) == [*chunks[0], *chunks[1], STOP]
    assert text_of(passed(1, *chunks, [count(50)])) == "a" * 100 + "b" * 100


def test_a_call_is_whole_or_absent() -> None:
    events = passed(4, [count(3), TextDelta("abc")], [count(40), CALL])
    assert events[-2:] == [CALL, CUT]
    events = passed(4, [count(4), TextDelta("abcd")], [count(40), CALL])
    assert CALL not in events
    events = passed(4, [count(40), TextDelta("abcd" * 9), CALL])
    assert CALL not in events


def test_thoughts_are_not_counted() -> None:
    events = passed(4, [ThoughtDelta("x" * 500)], [count(4), TextDelta("abcd")])
    assert text_of(events) == "abcd"
    assert events[-1] == STOP


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 40)), min_size=1, max_size=8),
)
def test_no_more_is_seen_than_the_limit(limit: int, sizes: list[tuple[int, int]]) -> None:
    """One character a token makes it exact."""
    total, chunks, said = 0, list[list[Event]](), ""
    for number, (tokens, _) in enumerate(sizes):
        total += tokens
        said += chr(97 + number) * tokens
        chunks.append([count(total), TextDelta(chr(97 + number) * tokens)])
    events = passed(limit, *chunks)
    assert text_of(events) == said[:limit]
    assert (events[-1] == CUT) == (total > limit)
