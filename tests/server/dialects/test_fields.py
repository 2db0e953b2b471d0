"""Fields: a client's JSON read with errors that name the field."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from server.dialects.fields import Fields
from server.errors import BadRequestError

BODY = {"s": "x", "i": 3, "f": 2.0, "b": True, "l": [{"a": 1}], "o": {"p": 5}, "n": None}


def test_values_are_read_and_null_is_absent() -> None:
    fields = Fields.of(BODY)
    assert fields.string("s") == "x"
    assert (fields.integer("i"), fields.integer("f"), fields.number("f")) == (3, 2, 2.0)
    assert fields.boolean("b") is True
    assert fields.string("n") is None
    assert fields.integer("missing") is None
    assert fields.boolean("missing") is False
    assert [item.integer("a") for item in fields.objects("l")] == [1]


@pytest.mark.parametrize(
    ("read", "path"),
    [
        (lambda f: f.string("i"), "i"),
        (lambda f: f.integer("s"), "s"),
        (lambda f: f.integer("b"), "b"),
        (lambda f: f.number("b"), "b"),
        (lambda f: f.boolean("s"), "s"),
        (lambda f: f.array("o"), "o"),
        (lambda f: f.object("l"), "l"),
        (lambda f: f.integer("i", low=4), "i"),
        (lambda f: f.number("i", high=2.5), "i"),
        (lambda f: f.required_string("missing"), "missing"),
        (lambda f: f.object("o").string("p"), "o.p"),
        (lambda f: next(f.objects("l")).string("a"), "l[0].a"),
    ],
)
def test_a_wrong_value_names_its_path(read: Callable[[Fields], Any], path: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(Fields.of(BODY))
    assert caught.value.param == path
    assert caught.value.message.startswith(f"{path}: ")


def test_the_other_notation_uses_dots() -> None:
    fields = Fields.of(BODY, notation="dots")
    with pytest.raises(BadRequestError) as caught:
        next(iter(fields.objects("l"))).string("a")
    assert caught.value.param == "l.0.a"


def test_what_nobody_read_is_told() -> None:
    fields = Fields.of(BODY)
    fields.string("s")
    fields.known("i", "f", "b", "l")
    assert fields.unread() == ("o",)


def test_what_is_read_of_a_nested_object_is_told_apart() -> None:
    body = {"a": [{"b": 1, "c": 2}, {"c": 3, "d": {"e": 1}}], "whole": {"x": 1}, "out": {"y": 1}}
    fields = Fields.of(body)
    for item in fields.objects("a"):
        item.integer("b")
        item.object("d")
    fields.whole("whole")
    left = fields.object("out")
    assert left is not None
    left.leave_out()
    assert fields.unread() == ("a[].c", "a[].d.e", "out")
    assert fields.unread(frozenset({"*.c", "a[].d.e"})) == ("out",)


def test_a_changed_twin_reads_for_its_original() -> None:
    fields = Fields.of({"tool": {"name": "n", "kind": "k"}})
    tool = fields.object("tool")
    assert tool is not None
    assert tool.changed(name="other").string("name") == "other"
    assert fields.unread() == ("tool.kind",)


def test_an_object_may_be_wrapped_more_than_once() -> None:
    fields = Fields.of({"tool": {"a": 1, "b": 2, "c": 3, "none": None}})
    for name in "ab":
        tool = fields.object("tool")
        assert tool is not None
        tool.tagged("variant").integer(name)
    assert fields.unread() == ("tool.c",)


def test_what_a_twin_brings_along_hides_nothing() -> None:
    fields = Fields.of({"tool": {"kind": "k", "extra": 1}})
    tool = fields.object("tool")
    assert tool is not None
    twin = tool.changed(name="n", form="f")
    assert (twin.string("name"), twin.string("form"), twin.string("kind")) == ("n", "f", "k")
    assert fields.unread() == ("tool.extra",)


def test_known_names_that_are_not_there_hide_nothing() -> None:
    fields = Fields.of({"a": 1, "b": 2})
    fields.known("a", "x", "y")
    assert fields.unread() == ("b",)


def test_only_objects_have_fields() -> None:
    with pytest.raises(BadRequestError, match="valid object"):
        Fields.of([], "messages[0]")


def test_what_was_read_leaves_no_circles_that_keep_a_body() -> None:
    body = {"a": [{"b": 1, "c": 2}], "d": {"e": None}}
    gc.collect()
    gc.disable()
    try:
        fields = Fields.of(body)
        inner = [item.get("b") for item in fields.objects("a")]
        twin = fields.changed(d={"e": "f"}).object("d")
        assert (inner, twin is not None and twin.string("e")) == ([1], "f")
        assert fields.unread() == ("a[].c",)
        del fields, twin
        assert gc.collect() == 0
    finally:
        gc.enable()
