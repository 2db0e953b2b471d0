import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.dialects.responses.envelope import Envelope, seal, unseal
from tests.server.dialects.openai.support import JSON_VALUES

SIGNATURES = st.binary(min_size=1, max_size=60).map(lambda raw: base64.b64encode(raw).decode())


@given(
    st.builds(
        Envelope,
        st.none() | st.text(min_size=1),
        st.dictionaries(st.text(), SIGNATURES, max_size=3),
        st.none() | SIGNATURES,
    )
)
def test_what_was_sealed_comes_back(envelope: Envelope) -> None:
    assert unseal(seal(envelope)) == envelope


def sealed(content: object) -> str:
    return "gpx1." + base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "gAAAAABo-opaque-from-elsewhere",
        "gp1:U0lHTkFUVVJF",
        "gpx1.",
        "gpx1.!!!",
        "gpx1.AAAA",
        "gpx1.ünicode",
        "gpx1." + "A" * 3_000_000,
        sealed([1]),
    ],
)
def test_foreign_and_damaged_blobs_count_as_absent(text: object) -> None:
    assert unseal(text) is None


@given(JSON_VALUES)
def test_any_json_inside_is_read_without_a_crash(content: object) -> None:
    unseal(sealed(content))
    unseal(sealed({"v": 1, "m": content, "f": content, "t": content}))


def test_values_that_are_no_signatures_are_left_out() -> None:
    blob = sealed({"v": 1, "m": 5, "f": {"call_1": "not base64!", "call_2": "U0lH"}, "t": ["x"]})
    assert unseal(blob) == Envelope(None, {"call_2": "U0lH"}, None)
