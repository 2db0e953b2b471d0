"""Settings taken out of files that were changed since: nothing else moves, no comment is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.connect.edits import CannotEditError, Data
from server.connect.formats import JSON, TOML, YAML_FILE, Format
from server.connect.removal import removed

NAMES = st.sampled_from(["model", "env", "base url", "x"])
DATA = st.dictionaries(
    NAMES,
    st.recursive(
        st.integers() | st.text("ab c", max_size=4),
        lambda inner: st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)

CASES = [
    (JSON, '{\n  "a": 1, // mine\n  "ours": {"b": 2}\n}\n', {"a": 1}, '{\n  "a": 1 // mine\n}\n'),
    (TOML, 'a = 1 # mine\nmodel = "x"\n\n[ours]\nb = 2\n', {"a": 1}, "a = 1 # mine\n"),
    (YAML_FILE, "a: 1 # mine\nours:\n  b: 2\n", {"a": 1}, "a: 1 # mine\n"),
]


@pytest.mark.parametrize(("form", "now", "wanted", "left"), CASES)
def test_what_is_ours_goes_and_the_rest_stays_as_it_is(
    form: Format, now: str, wanted: Data, left: str
) -> None:
    assert removed(form, now, wanted, before=left, after=now).rstrip() == left.rstrip()


@pytest.mark.parametrize(
    ("form", "now"),
    [
        (JSON, '{"a": 1, "ours": {"b": 2 /* yours */}}'),
        (TOML, "a = 1\n[ours]\nb = 2 # yours\n"),
        (YAML_FILE, "a: 1\nours:\n  b: 2 # yours\n"),
    ],
)
def test_a_comment_inside_what_is_ours_is_not_lost(form: Format, now: str) -> None:
    with pytest.raises(CannotEditError):
        removed(form, now, {"a": 1}, before="", after="")


def test_a_value_that_was_ours_gets_back_what_it_was() -> None:
    now = '{"model": "gemini", "list": [1, 2, 3]}'
    left = removed(JSON, now, {"model": "gpt", "list": [1, 3]}, before=now, after=now)
    assert json.loads(left) == {"model": "gpt", "list": [1, 3]}


@given(DATA, DATA)
def test_it_says_what_it_should_or_is_left_alone(now: Data, wanted: Data) -> None:
    text = json.dumps(now, indent=2)
    try:
        left = removed(JSON, text, wanted, before=text, after=text)
    except CannotEditError:
        return
    assert (JSON.parse(left) or None) == (wanted or None)
