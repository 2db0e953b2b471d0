"""Names of models as clients, tools and gateways write them."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gemini.known import Tier
from server.gemini.model_names import gemini_id, spelt, tier_of, without_end, without_path

FAMILIES = ("gemini", "gemma")


def bare(name: str) -> str:
    return without_path(without_end(name, FAMILIES))


@pytest.mark.parametrize(
    ("name", "left"),
    [
        (" anthropic/claude-sonnet-4-6-20260101[1m] ", "claude-sonnet-4-6"),
        ("claude-3-opus-latest", "claude-3-opus"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-5:latest", "gpt-5"),
        ("claude-gp-gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("Claude-GP-gemini-best", "gemini-best"),
        ("gemini-flash-latest", "gemini-flash-latest"),
        ("models/gemini-flash-latest:latest", "gemini-flash-latest"),
        ("claude-gp-gemini-pro-latest[1m]", "gemini-pro-latest"),
        ("gemini-2.5-flash-preview-2025-09-20", "gemini-2.5-flash-preview-2025-09-20"),
        ("openrouter/google/gemini-2.5-pro/", "gemini-2.5-pro"),
        ("", ""),
        ("///", ""),
    ],
)
def test_decorations_and_paths_are_taken_off(name: str, left: str) -> None:
    assert bare(name) == left


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("gemini-2.5-pro", "gemini-2.5-pro"),
        ("Gemini 2.5 Pro", "gemini-2.5-pro"),
        ("GEMINI  4\u00a0NEON ", "gemini-4-neon"),
        ("Gemini 3.5 Flash-Lite", "gemini-3.5-flash-lite"),
        ("gemini_4_hydrogen", "gemini-4-hydrogen"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("google/gemini-9-future", "gemini-9-future"),
        ("vertex_ai/gemini-2.5-pro", "gemini-2.5-pro"),
        ("openrouter/google/Gemini-2.5-Pro", "gemini-2.5-pro"),
        ("publishers/google/models/gemini-4-argon", "gemini-4-argon"),
        (
            "projects/a-project/locations/global/publishers/google/models/gemini-4-argon",
            "gemini-4-argon",
        ),
        ("antigravity/gemini-3-pro-preview", "gemini-3-pro-preview"),
        ("gpt-gemini-2.5-pro", "gemini-2.5-pro"),
        ("litellm/GPT-Gemini-2.5-Pro", "gemini-2.5-pro"),
        ("google-gla:gemini-3.8-flash", "gemini-3.8-flash"),
        ("google.gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemma-4-31b-it", "gemma-4-31b-it"),
        ("google/gemini-3.8-flash@default", "gemini-3.8-flash@default"),
        ("my-gemini-pro", None),
        ("geminis-pro", None),
        ("gemini", None),
        ("gemini-2.5-pro; rm", None),
        ("gemini-ä", None),
        ("gpt-4o", None),
        ("gemini-" + "x" * 128, None),
    ],
)
def test_an_id_of_googles_in_any_writing(name: str, sent: str | None) -> None:
    assert gemini_id(bare(name), FAMILIES) == sent


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("claude-haiku-4-5-20251001", "fast"),
        ("gpt-4o-mini", "fast"),
        ("GPT-5 Nano", "fast"),
        ("gpt-3.5-turbo", "fast"),
        ("o3-mini", "fast"),
        ("claude-instant-1.2", "fast"),
        ("flash", "fast"),
        ("claude-opus-5-5", "best"),
        ("claude-fable-1", "best"),
        ("mythos", "best"),
        ("o1", "best"),
        ("o4-preview", "best"),
        ("gpt-4o", "best"),
        ("gpt-4.1", "best"),
        ("GPT 5", "best"),
        ("gpt-10-turbo", "best"),
        ("claude-sonnet-5-5", "main"),
        ("Claude Sonnet 4.5", "main"),
        ("gpt-oss-120b", "main"),
        ("gpt-3", "main"),
        ("us.anthropic.claude-3-7-sonnet-v1", "main"),
        ("default", "main"),
        ("minimax-m2", None),
        ("opusculum", None),
        ("o5", None),
        ("foo1", None),
        ("chatgpt", None),
        ("flashy", None),
        ("llama-3-70b", None),
        ("", None),
    ],
)
def test_a_tier_is_matched_by_whole_words(name: str, tier: Tier | None) -> None:
    assert tier_of(name) == tier


@given(st.text(max_size=200))
def test_any_text_has_a_plain_form(name: str) -> None:
    assert spelt(spelt(name)) == spelt(name)
    found = gemini_id(bare(name), FAMILIES)
    assert found is None or gemini_id(found, FAMILIES) == found
    assert tier_of(name) in (None, "best", "main", "fast")


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that ``work`` runs; C code does not count, and is linear here."""
    count = 0

    def tracer(frame: FrameType, event: str, _arg: object) -> object:
        nonlocal count
        count += event == "line"
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)  # type: ignore[arg-type]
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("unit", ["models/", "google/", "[a", "gpt-", "-latest", "a.", " /"])
def test_twice_the_name_is_at_most_twice_the_work(unit: str) -> None:
    def work(times: int) -> int:
        name = unit * times
        return steps(lambda: (gemini_id(bare(name), FAMILIES), tier_of(bare(name))))

    assert work(2000) <= 2.5 * work(1000)
