"""Editing a text: our settings are in, and everything else is as it was, comments included."""

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.connect.edits import Addition, CannotEditError, Edit, Item, Put, applied, taken_out
from server.connect.formats import DOTENV, JSON, TOML, YAML_FILE, Format, rewritten

PROVIDER = {"name": "Gemini", "url": "http://127.0.0.1:8081/v1", "models": [{"id": "a"}]}
JSON_EDITS: tuple[Edit, ...] = (
    Put(("env", "BASE_URL"), "http://127.0.0.1:8081"),
    Put(("env", "EMPTY"), ""),
    Put(("provider", "gemini-proxy"), PROVIDER),
    Put(("model",), "gemini-proxy/x", only_if_absent=True),
)
TOML_EDITS: tuple[Edit, ...] = (
    Put(("model",), "gemini-2.5-pro"),
    Put(("model_context_window",), 1048576),
    Put(("model_providers", "gemini-proxy"), {"name": "Gemini", "base_url": "http://x/v1"}),
)
YAML_EDITS: tuple[Edit, ...] = (
    Put(("name",), "Local", only_if_absent=True),
    Put(("key",), "no"),
    Item(("models",), {"name": "Gemini", "model": "m", "roles": ["chat", "edit"]}, ("name",)),
)
LIST_EDITS: tuple[Addition, ...] = (
    Item((), {"model_id": "gemini-proxy", "vision": True}, ("model_id",)),
)
DOTENV_EDITS: tuple[Edit, ...] = (
    Put(("GEMINI_API_KEY",), "any"),
    Put(("BASE",), "http://127.0.0.1:8081"),
)


def holds(form: Format, text: str, edits: tuple[Edit, ...]) -> str:
    """Rewrite, and check what is true of every rewriting."""
    after = rewritten(form, text, edits)
    assert form.parse(after) == applied(form.parse(text), edits)
    assert rewritten(form, after, edits) == after
    return after


def lines_that_went(before: str, after: str) -> list[str]:
    left = after.split("\n")
    gone = []
    for line in before.split("\n"):
        if line in left:
            del left[: left.index(line) + 1]
        else:
            gone.append(line)
    return gone


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("", []),
        ("// only a comment\n", []),
        ("{}", ["{}"]),
        ('{\n  "a": 1 // why\n}\n', ['  "a": 1 // why']),
        ('{\n\t"a": 1,\n\t// last word\n}\n', []),
        ('{\n  // keep\n  "env": {"A": "b"}, // tail\n}\n', ['  "env": {"A": "b"}, // tail']),
        ('{\n  "env": {\n    "A": "b",\n  },\n}\n', []),
        ('{"model": "mine", "provider": {"gemini-proxy": 1}}', None),
        ('{\n  "provider": null,\n  "x": [1, /* two */ 2]\n}\n', None),
        ("{ // nothing\n}\n", []),
        ('{"url": "http://x//y", "q": "\\"{"}', None),
    ],
)
def test_json_keeps_comments_order_and_trailing_commas(text: str, gone: list[str] | None) -> None:
    after = holds(JSON, text, JSON_EDITS)
    if gone is not None:
        assert lines_that_went(text, after) == gone
    for comment in ("// why", "// last word", "// keep", "// tail", "/* two */", "// nothing"):
        assert (comment in text) == (comment in after)


@pytest.mark.parametrize("text", ["{", "[1 2]", '{"a" 1}', "{'a': 1}", "{} x", '{"a": tru}', "["])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(CannotEditError, match="not valid JSON"):
        rewritten(JSON, text, JSON_EDITS)


@pytest.mark.parametrize("text", ["[]", '"text"', '{"env": 3}', '{"env": []}'])
def test_something_else_in_the_way_is_refused(text: str) -> None:
    with pytest.raises(CannotEditError, match="not a table"):
        rewritten(JSON, text, JSON_EDITS)


def test_an_entry_of_a_list_is_added_once_and_then_replaced() -> None:
    first = Item((), {"name": "Gemini", "vendor": "x", "n": 1}, ("name", "vendor"))
    second = Item((), {"name": "Gemini", "vendor": "x", "n": 2}, ("name", "vendor"))
    text = '[\n\t{ "name": "Gemini", "vendor": "other" }, // mine\n]\n'
    once = holds(JSON, text, (first,))
    twice = holds(JSON, once, (second,))
    assert [entry.get("n") for entry in JSON.parse(twice)] == [None, 2]
    assert '{ "name": "Gemini", "vendor": "other" }, // mine' in twice


_names = st.text(string.ascii_letters + '_- "\\é', min_size=1, max_size=8)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=12,
)
_gaps = st.sampled_from(["", " ", "\n", "\n    ", " // note\n", "\n  /* a\n b */ ", "\t"])


@st.composite
def jsonc(draw: st.DrawFn) -> str:
    """Any object, written by hand: blanks and comments anywhere, trailing commas."""

    def written(value: Any) -> str:
        if isinstance(value, dict):
            inside = [f"{draw(_gaps)}{json.dumps(k)}:{written(v)}" for k, v in value.items()]
        elif isinstance(value, list):
            inside = [f"{draw(_gaps)}{written(item)}" for item in value]
        else:
            return json.dumps(value)
        marks = "{}" if isinstance(value, dict) else "[]"
        tail = draw(st.sampled_from(["", ","])) if inside else ""
        return marks[0] + ",".join(inside) + tail + draw(_gaps) + marks[1]

    return (
        f"{draw(_gaps)}{written(draw(st.dictionaries(_names, _values, max_size=4)))}{draw(_gaps)}"
    )


@settings(deadline=None, max_examples=60)
@given(jsonc())
def test_any_json_keeps_all_that_is_not_ours(text: str) -> None:
    said = JSON.parse(text) or {}
    if not all(isinstance(said.get(name, {}), dict) for name in ("env", "provider")):
        return
    after = holds(JSON, text, JSON_EDITS)
    left = iter(after)
    ours = {"env", "provider", "model"} & set(JSON.parse(text) or {})
    if not ours:
        assert all(one in left for one in text if not one.isspace())  # a subsequence, in order


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mine\n",
        'approval_policy = "never" # why\n\n[tools]\nweb_search = true # on\n',
        'model = "gpt-5" # mine\n[model_providers.other]\nname = "o"\n',
        '[model_providers]\na = { name = "q" }\n\n[z]\nb = 1\n',
        '[projects."/home/me"]\ntrust_level = "trusted"',
        'model_providers = { other = { name = "o" } } # one line\n',
        'model_providers.other.name = "o"\n',
        "[model_providers.a]\nx = 1\n[tools]\ny = 1\n[model_providers.b]\nz = 1 # end",
        'notify = [\n  "a", # one\n  "b",\n]\n[[hooks]]\nx = 1\n[[hooks]]\nx = 2\n',
    ],
)
def test_toml_keeps_comments_and_order(text: str) -> None:
    after = holds(TOML, text, TOML_EDITS)
    ours = {'model = "gpt-5" # mine', text.partition("\n")[0] * ("one line" in text)}
    assert set(lines_that_went(text, after)) <= ours
    if "# mine" in text and "gpt-5" in text:
        assert 'model = "gemini-2.5-pro" # mine' in after


_words = st.text(string.ascii_lowercase, min_size=1, max_size=6)
_tables = _words.filter(lambda word: word != "model")  # a table where a value belongs is replaced
_toml_values = st.booleans() | st.integers(-99, 99) | st.text(string.printable[:94], max_size=9)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(_words, _toml_values, max_size=4),
    st.dictionaries(_tables, st.dictionaries(_words, _toml_values, max_size=3), max_size=3),
    st.booleans(),
)
def test_any_toml_keeps_its_lines(
    top: dict[str, Any], tables: dict[str, dict[str, Any]], spaced: bool
) -> None:
    rows = [f"{k} = {json.dumps(v)} # {k}" for k, v in top.items() if k not in tables]
    for name, table in tables.items():
        rows += [*([""] if spaced else []), f"[{name}]  # table"]
        rows += [f"{k}={json.dumps(v)}" for k, v in table.items()]
    text = "\n".join(rows)
    try:
        after = holds(TOML, text, TOML_EDITS)
    except CannotEditError:
        assert {"model", "model_providers"} & {*top, *tables}
        return
    gone = [line for line in lines_that_went(text, after) if not line.startswith("model")]
    assert gone in ([], [text.split("\n")[-1]], [""])  # a last line may get its line feed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "---\nname: Mine  # me\n",
        "name: Mine\nmodels:\n- name: A\n  model: b # deep\n\n# end\nrules: [a, b]\n",
        "models: []\n",
        "models:\n",
        "models:\n  - name: Gemini\n    model: old\n    # c\nx: 1",
        "a: |\n  text\n\nmodels:\n    - name: X\n      t: |\n        # not a comment\n",
        'key: "yes"   # quoted\r\nlong: >\n  folded\n  text\n'.replace("\r", ""),
        "anchors: &a {x: 1}\nuse: *a\nmodels:\n  - *a\n  - name: B\n    model: c\n",
    ],
)
def test_yaml_keeps_everything_that_is_not_ours(text: str) -> None:
    after = holds(YAML_FILE, text, YAML_EDITS)
    gone = lines_that_went(text, after)
    ours = {"models: []", "    model: old", 'key: "yes"   # quoted', "x: 1", "---"}
    assert set(gone) <= ours
    for comment in ("# me", "# deep", "# end", "# c", "# quoted", "# nothing yet"):
        assert (comment in text) == (comment in after)


@pytest.mark.parametrize(
    "text",
    [
        "models: [{name: A}]\n",
        "models:\n  - name: B\n  - *missing\n",
        "{name: x, models: []}\n",
        "a: b: c\n",
        "- 1\n",
        "key: |\n  block\n",
        "a: 1\n---\nb: 2\n",
    ],
)
def test_yaml_that_cannot_be_changed_without_risk_is_refused(text: str) -> None:
    with pytest.raises(CannotEditError):
        rewritten(YAML_FILE, text, YAML_EDITS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        "# none\n",
        "- model_id: a\n",
        "- model_id: gemini-proxy\n  k: 1\n- model_id: b\n",
    ],
)
def test_a_yaml_file_that_is_a_list(text: str) -> None:
    after = holds(YAML_FILE, text, LIST_EDITS)
    assert LIST_EDITS[0].value in YAML_FILE.parse(after)


_yaml_scalars = (
    st.text(string.ascii_letters + " #:'\"-", max_size=9) | st.integers() | st.booleans()
)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(_words, _yaml_scalars, max_size=4),
    st.lists(st.dictionaries(_words, _yaml_scalars, min_size=1, max_size=3), max_size=3),
    st.sampled_from(["", "  ", "    "]),
)
def test_any_yaml_keeps_its_lines(
    top: dict[str, Any], models: list[dict[str, Any]], indent: str
) -> None:
    rows = [f"{k}: {json.dumps(v)} # {k}" for k, v in top.items() if k not in ("models", "key")]
    if models:
        rows.append("models: # list")
        for model in models:
            pairs = [f"{k}:   {json.dumps(v)}" for k, v in model.items()]
            rows += [f"{indent}- {pairs[0]}", *(f"{indent}  {pair} # x" for pair in pairs[1:])]
    text = "\n".join([*rows, "# the end", ""])
    assert lines_that_went(text, holds(YAML_FILE, text, YAML_EDITS)) == []


def test_dotenv_values_are_replaced_where_they_stand() -> None:
    text = "A=1 # one\nexport GEMINI_API_KEY = 'old' # mine\nLONG='x\nBASE=inside'\n"
    after = holds(DOTENV, text, DOTENV_EDITS)
    assert "export GEMINI_API_KEY = any # mine" in after
    assert "LONG='x\nBASE=inside'" in after
    assert after.endswith("BASE=http://127.0.0.1:8081\n")


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(string.ascii_uppercase, min_size=1), _words, max_size=5))
def test_any_dotenv_keeps_its_lines(values: dict[str, str]) -> None:
    text = "# mine\n" + "".join(f"{name}={value}\n" for name, value in values.items())
    gone = lines_that_went(text, holds(DOTENV, text, DOTENV_EDITS))
    assert all(line.startswith(("BASE=", "GEMINI_API_KEY=")) for line in gone)


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        (None, {"env": {"A": 1, "B": 2}}, {"env": {"B": 2}}),
        (None, {"env": {"A": 1}, "p": {"us": {"x": 1}}}, {}),
        (None, {"env": {"A": 7}}, {"env": {"A": 7}}),
        ({"env": {"A": 0}}, {"env": {"A": 1}, "b": 2}, {"env": {"A": 0}, "b": 2}),
        ({"p": {"us": 3}}, {"p": {"us": {"x": "theirs"}, "o": 1}}, {"p": {"us": 3, "o": 1}}),
        (None, {"l": [{"n": "us", "k": "theirs"}, {"n": "o"}]}, {"l": [{"n": "o"}]}),
        ({"l": [{"n": "us", "k": 0}]}, {"l": [{"n": "us"}, 1]}, {"l": [{"n": "us", "k": 0}, 1]}),
        ({"env": {}}, {"env": {}}, {"env": {}}),
    ],
)
def test_what_is_taken_out_again(before: Any, now: Any, wanted: Any) -> None:
    """Our tables and entries whole, our values while they are ours, nothing else."""
    edits = (
        Put(("env", "A"), 1),
        Put(("p", "us"), {"x": 1}),
        Item(("l",), {"n": "us", "k": 1}, ("n",)),
    )
    assert taken_out(now, before, applied(before, edits), edits) == wanted
