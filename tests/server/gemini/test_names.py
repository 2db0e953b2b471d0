"""Tool names: legal upstream, the client's own on the way back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gemini.names import ToolNames

LEGAL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("look", "look"),
        ("Look-2_x", "Look-2_x"),
        ("mcp__srv.with/odd name", "mcp__srv_with_odd_name"),
        ("functions:read", "functions_read"),
        ("2fast", "_2fast"),
        ("-dash", "_-dash"),
        ("größe", "gr__e"),
        ("", "_"),
        ("x" * 64, "x" * 64),
    ],
)
def test_names_are_made_legal(name: str, sent: str) -> None:
    assert ToolNames().send(name) == sent


def test_names_that_collide_stay_apart() -> None:
    names = ToolNames()
    long = "a" * 64
    clients = ["a.b", "a:b", "a_b", long + "1", long + "2"]
    sent = [names.send(name) for name in clients]
    assert len(set(sent)) == len(clients)
    assert [names.client(name) for name in sent] == clients


def test_a_name_that_looks_like_a_marked_one_is_not_taken_over() -> None:
    marked = ToolNames().send("y" * 70)
    names = ToolNames()
    names.send(marked)
    assert names.send("y" * 70) != marked
    assert names.client(marked) == marked


@pytest.mark.parametrize("prefix", ["default_api:", "default_api."])
def test_the_prefix_that_models_sometimes_add_is_taken_off(prefix: str) -> None:
    names = ToolNames()
    sent = names.send("a.b")
    assert names.client(prefix + sent) == "a.b"
    assert names.client(prefix + "unknown") == "unknown"


def test_a_tool_that_really_begins_with_the_prefix_keeps_it() -> None:
    names = ToolNames()
    sent = names.send("default_api:look")
    assert names.client(sent) == "default_api:look"


@given(st.lists(st.text(max_size=70), unique=True, max_size=8))
def test_any_names_are_legal_distinct_stable_and_reversible(clients: list[str]) -> None:
    names = ToolNames()
    sent = [names.send(name) for name in clients]
    assert all(LEGAL.fullmatch(name) for name in sent)
    assert len(set(sent)) == len(sent)
    assert [names.send(name) for name in clients] == sent
    assert [names.client(name) for name in sent] == clients
