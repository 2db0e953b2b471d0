"""The fence around JSON goes, however the text is cut; nothing overtakes a tool call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gemini.events import Event, Finish, FunctionCall, TextDelta, ThoughtDelta, UsageSeen
from server.gemini.fence import FenceFilter
from server.gemini.types import Usage

STOP = Finish("STOP")
CALL = FunctionCall("c", "look", {})
FENCED = {
    '{"a": 1}': '{"a": 1}',
    '```json\n{"a": 1}\n```': '{"a": 1}',
    '\n```\n{"a": "`x`"}\n```\n': '{"a": "`x`"}',
    "```json\n[1,\n 2]```": "[1,\n 2]",
    "``": "``",
    "plain ```code```": "plain ```code```",
    "```json": "```json",
    '```json\n{"a": 1': '{"a": 1',
    "": "",
}


def pieces_of(words: str) -> st.SearchStrategy[list[str]]:
    """Every way to cut a text."""
    cuts = st.sets(st.integers(0, len(words)))
    return cuts.map(
        lambda at: [words[a:b] for a, b in zip([0, *sorted(at)], [*sorted(at), None], strict=True)]
    )


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@given(st.data())
@pytest.mark.parametrize(("text", "bare"), FENCED.items())
def test_fences_go_however_the_text_is_cut(text: str, bare: str, data: st.DataObject) -> None:
    fence = FenceFilter()
    events = [TextDelta(piece) for piece in data.draw(pieces_of(text))]
    passed = [event for one in events for event in fence.feed([one])] + fence.feed([STOP])
    assert text_of(passed) == bare
    assert passed[-1] is STOP


def test_it_streams_while_it_comes() -> None:
    fence = FenceFilter()
    assert fence.feed([TextDelta("```js")]) == []
    assert fence.feed([TextDelta('on\n{"a":')]) == [TextDelta('{"a":')]
    assert fence.feed([TextDelta(" 1}\n")]) == [TextDelta(" 1}")]
    assert fence.feed([TextDelta("```"), STOP]) == [STOP]


@pytest.mark.parametrize(
    ("texts", "before"), [(["``"], "``"), (["```json\n{}\n```"], "{}"), ([" "], " "), ([], "")]
)
def test_what_is_held_never_overtakes_a_call(texts: list[str], before: str) -> None:
    events: list[Event] = [*map(TextDelta, texts), CALL, TextDelta("```json\n[1]\n```"), STOP]
    passed = FenceFilter().feed(events)
    at = passed.index(CALL)
    assert (text_of(passed[:at]), text_of(passed[at:])) == (before, "[1]")


def test_thoughts_and_counts_pass_within_a_fence() -> None:
    between: list[Event] = [ThoughtDelta("hm"), UsageSeen(Usage(1))]
    passed = FenceFilter().feed([TextDelta("```json\n{"), *between, TextDelta("}\n```"), STOP])
    assert text_of(passed) == "{}"
    assert [event for event in passed if event in between] == between
