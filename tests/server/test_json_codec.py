"""The fast codec says what the standard library says."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.json_codec import dumps, loads, strict_loads
from server.limits import BODY_DEPTH

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    finite = json.loads(json.dumps(value))
    assert loads(dumps(value)) == finite
    for text in (json.dumps(value), json.dumps(value, indent=1)):
        if "Infinity" not in text:
            again = strict_loads(text.encode())
            assert again == finite
            assert repr(again) == repr(finite)


def test_large_integers_stay_integers() -> None:
    assert loads(b'{"a": -123456789012345678901234567890}') == {
        "a": -123456789012345678901234567890
    }
    assert dumps([10**30]) == b"[1" + b"0" * 30 + b"]"
    for alone in (b"-9223372036854775809", b" 18446744073709551616"):
        assert repr(loads(alone)) == repr(int(alone))


def test_half_a_surrogate_pair_becomes_what_the_caller_wants() -> None:
    assert loads(b'["\\ud83d"]') == ["\ud83d"]
    assert dumps(["\ud83d"]) == b'["?"]'
    assert dumps(["\ud83d"], errors="backslashreplace") == b'["\\ud83d"]'


@pytest.mark.parametrize("text", [b"[NaN]", b"[Infinity]", b"[-Infinity]", b"[-1e999]"])
def test_what_is_no_number_is_nothing_or_an_error(text: bytes) -> None:
    assert loads(text) == [None]
    with pytest.raises(ValueError, match="is not JSON"):
        strict_loads(text)


@pytest.mark.parametrize("inner", [b"", b'"\\ud83d"'], ids=["orjson", "standard"])
@pytest.mark.parametrize("read", [loads, strict_loads])
def test_depth_has_a_limit(read: Callable[[bytes], Any], inner: bytes) -> None:
    """The same for both readers, and far above what any schema needs."""
    read(b'{"a":' * BODY_DEPTH + (inner or b"1") + b"}" * BODY_DEPTH)
    for depth in (BODY_DEPTH + 1, 100_000):
        with pytest.raises(ValueError, match="levels deep"):
            read(b"[" * depth + (inner or b"1") + b"]" * depth)
    assert len(loads(b"[" + b"[]," * 5000 + b"[]]")) == 5001


def test_errors_are_the_standard_librarys() -> None:
    with pytest.raises(ValueError, match="Expecting value: line 1 column 2"):
        loads(b"[")


def test_an_integer_that_no_float_can_hold_is_none() -> None:
    """The square of its digits would be the work, and no other thread would get its turn."""
    large = b"1" + b"0" * 308
    assert loads(b"[%s]" % large) == [10**308]
    assert loads(b"[%s0]" % large) == [None]
    with pytest.raises(ValueError, match="is not JSON"):
        strict_loads(b"[-%s]" % (b"9" * 1_000_000))
